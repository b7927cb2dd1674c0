"""What a human looks at, from the command line: calibrate, classify, resume, report, change, inspect, evaluate."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from mvrec_edge.calib.fitting.review_fitting import describe_review
from mvrec_edge.runtime import SupportCache
from tests.e2e.commands import run


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, tiny_bundle_path: Path) -> Path:
    """A folder with rendered defects, and a cache that does not suffice for 95%."""
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("review")
    write_dataset(folder / "parts", families=("scratch", "stain"), per_class=3, size=(240, 320), seed=0)
    arguments = ("--view-recipe", "ms", "--right-at-least", "95%", "--out", folder / "line.safetensors")
    result = run("calibrate", tiny_bundle_path, folder / "parts", *arguments)
    # Random weights read some of them wrongly, and the line says so before it asks for more.
    assert re.search(
        r"review: every region goes to a human: 6 examples can promise at most 68\.1% right, and 95% takes 45 that are "
        r"all read rightly; [1-6] of 6 (is|are) read wrongly, so more examples alone may not do: ",
        result.stderr,
    )
    return folder


@pytest.fixture(scope="module")
def limited(line: Path) -> Path:
    """A cache whose limit is one of the probabilities of its own parts, so that some lie below it and some do not."""
    cache = SupportCache.load(line / "line.safetensors")
    assert cache.review is not None
    limits = dict(zip(cache.class_names, (0.0, None), strict=True))
    changed = cache.changed(review=type(cache.review)(0.95, 0.9, tuple(limits.values()), (True, True), 60, 60, 3))
    changed.save(line / "limited.safetensors")
    return line / "limited.safetensors"


def test_records_table_and_summary_say_what_a_human_looks_at(
    line: Path, limited: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    places = ("--out", tmp_path / "r.jsonl", "--csv", tmp_path / "r.csv", "--overlay", tmp_path / "pictures")
    result = run("classify", tiny_bundle_path, limited, line / "parts", *places, "--report", tmp_path / "report.html")
    records = [json.loads(text) for text in (tmp_path / "r.jsonl").read_text().splitlines()]
    first = SupportCache.load(limited).class_names[0]
    assert [record["review"] for record in records] == [record["label"] != first for record in records]
    count = sum(record["review"] for record in records)
    said = f"; to be looked at by a human: {count} of {len(records)} ({100 * count / len(records):.1f}%)"
    assert said in result.stderr
    rows = list(csv.DictReader((tmp_path / "r.csv").open(newline="", encoding="utf-8")))
    assert [row["review"] for row in rows] == [str(record["review"]).lower() for record in records]
    page = (tmp_path / "report.html").read_text()
    assert page.count('"review":') == len(records)
    assert '["right at least","95%"]' in page.replace(", ", ",")
    # One image is taken out and done again; the counts of the whole file are those of before.
    last = (tmp_path / "r.jsonl").read_text().splitlines(keepends=True)[:-1]
    (tmp_path / "r.jsonl").write_text("".join(last))
    again = run("classify", tiny_bundle_path, limited, line / "parts", *places[:2], "--resume")
    assert f"r.jsonl in all: {len(records)} regions" in again.stderr
    assert said in again.stderr.splitlines()[-1]


def test_without_a_limit_nothing_is_said(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.safetensors"
    made = run("calibrate", tiny_bundle_path, line / "parts", "--view-recipe", "ms", "--out", plain)
    assert "human" not in made.stderr
    result = run("classify", tiny_bundle_path, plain, line / "parts", "--csv", tmp_path / "r.csv")
    assert all("review" not in json.loads(text) for text in result.stdout.splitlines())
    assert "human" not in result.stderr
    assert all(row["review"] == "" for row in csv.DictReader((tmp_path / "r.csv").open(newline="", encoding="utf-8")))
    assert "human" not in run("inspect", plain).stdout


def test_changes_and_rebase_keep_what_was_promised(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    cache = tmp_path / "line.safetensors"
    cache.write_bytes((line / "line.safetensors").read_bytes())
    removed = run("support", "remove", cache, "0", "--force")
    assert "review: every region goes to a human: 5 examples can promise" in removed.stderr
    loaded = SupportCache.load(cache).review
    assert loaded is not None
    assert (loaded.right_at_least, loaded.instances) == (0.95, 5)
    rebased = ("--rebase", cache, "--out", tmp_path / "again.safetensors")
    assert "95% takes 45" in run("calibrate", tiny_bundle_path, line / "parts", *rebased).stderr
    assert SupportCache.load(tmp_path / "again.safetensors").review == loaded
    other = ("--right-at-least", "60%", "--overwrite")
    run("calibrate", tiny_bundle_path, line / "parts", *rebased, *other)
    anew = SupportCache.load(tmp_path / "again.safetensors").review
    assert anew is not None
    assert anew.right_at_least == 0.6
    assert "every region goes to a human" in run("inspect", cache).stdout


def test_tuning_finds_a_limit_and_says_that_fewer_views_are_used(
    line: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tuned.safetensors"
    options = ("--view-recipe", "ms", "--tune", "--right-at-least", "50%", "--out", out)
    said = run("calibrate", tiny_bundle_path, line / "parts", *options).stderr
    tuned = SupportCache.load(out)
    assert tuned.review is not None
    assert tuned.schedule is not None
    assert tuned.review.right_at_least == 0.5
    assert "; ".join(describe_review(tuned)) in said
    if not tuned.review.all_to_review:
        assert ("was tried with all 3 views" in said) is (tuned.schedule.use not in ("all", 3))


def test_fewer_views_are_warned_of(line: Path, limited: Path, tiny_bundle_path: Path) -> None:
    result = run("classify", tiny_bundle_path, limited, line / "parts", "--views", 1)
    assert "warning: the limit for review was tried with all 3 views of a defect" in result.stderr


@pytest.mark.parametrize("share", ["95", "100%", "most"])
def test_shares_that_are_none(line: Path, tiny_bundle_path: Path, tmp_path: Path, share: str) -> None:
    out = ("--right-at-least", share, "--out", tmp_path / "a")
    result = run("calibrate", tiny_bundle_path, line / "parts", *out, code=2)
    assert "example: --right-at-least 95%" in result.stderr
    assert not (tmp_path / "a").exists()


def test_a_head_that_trains_is_refused_before_anything_runs(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    out = ("--right-at-least", "95%", "--head", "zip-f", "--out", tmp_path / "a")
    result = run("calibrate", tiny_bundle_path, line / "parts", *out, code=2)
    assert "zip-f has learned from all" in result.stderr


def test_evaluate_tries_the_limit(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(2), 30)
    values = np.eye(8)[labels][:, None] + 0.2 * generator.standard_normal((60, 2, 8))
    tensors = {"support_embeddings": values.astype(np.float32), "support_labels": labels}
    features = tmp_path / "features.safetensors"
    features.write_bytes(safetensors.numpy.save(tensors, metadata={"class_names": json.dumps(["a", "b"])}))
    arguments = ("--features", features, "--shots", "2,20", "--draws", 2, "--heads", "zip-c")
    result = run("evaluate", *arguments, "--right-at-least", "90%", "--out", tmp_path / "out")
    assert "a human looks at what is not at least 90% right:" in result.stdout
    few, many = json.loads((tmp_path / "out" / "review.json").read_text())["results"]
    assert (few["to_review"], few["accuracy"]) == (1, None)
    assert many["to_review"] < 1
    assert "not a share of right answers" in run("evaluate", *arguments, "--right-at-least", "all", code=2).stderr
