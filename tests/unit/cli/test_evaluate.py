"""`mvrec-edge evaluate --features`, and of labelled sets: the queries behind each number, and the two splits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from tests.e2e.commands import run

NAMES = ("crack", "dent", "stain")
QUICK = ("--draws", 2, "--heads", "zip,zip-c")


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """Three classes of 30, 24 and 6 instances, two on each image."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), (30, 24, 6))
    embeddings = rng.standard_normal((3, 1, 16))[labels] + 0.8 * rng.standard_normal((60, 3, 16))
    tensors = {"support_embeddings": embeddings.astype(np.float32), "support_labels": labels}
    safetensors.numpy.save_file(tensors, tmp_path / "bare", metadata={"class_names": json.dumps(NAMES)})
    tensors["support_images"] = np.arange(60) // 2
    safetensors.numpy.save_file(tensors, tmp_path / "imaged", metadata={"class_names": json.dumps(NAMES)})
    return tmp_path


def test_each_class_is_shown_with_its_queries(features: Path) -> None:
    ended = run("evaluate", "--features", features / "bare", "--shots", "1,2", *QUICK, "--out", features / "out")
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert lines[0][:4] == ["shots", "head", "draws", "queries"]
    # Each draw leaves 57 and 54; an instance that both draws take is never a query.
    assert [line[:4] for line in lines[1:5]] == [
        ["1", "zip", "2", "60"],
        ["1", "zip-c", "2", "60"],
        ["2", "zip", "2", "59"],
        ["2", "zip-c", "2", "59"],
    ]
    assert lines[5][0] == "accuracy,"
    assert [line[:2] for line in lines[6:8]] == [["1", "shot:"], ["2", "shots:"]]
    assert lines[8][0] == "SE:"
    assert lines[10] == ["each", "class,", "2", "shots,", "head", "zip:"]
    assert lines[12][:4] == ["crack", "2", "of", "30"]
    assert lines[14][:5] == ["stain", "2", "of", "6", "5"]
    assert lines[15][:5] == ["all", "6", "of", "60", "59"]
    assert max(map(len, ended.stdout.splitlines())) <= 100
    assert ended.stderr.count("warning: fewer than 20 queries of stain (5): ") == 1
    assert "crack (" not in ended.stderr
    assert "on one side" not in ended.stderr
    written = json.loads((features / "out" / "evaluation.json").read_text())
    assert written["split"] == "region"
    assert len(written["cautions"]) == 1
    stain = written["results"][-1]["per_class"]["stain"]
    assert (stain["labelled"], stain["queries"]) == (6, 5)
    low, high = stain["interval_95"]
    assert 0 <= low < stain["accuracy"] <= high <= 1
    # Four of six are left in each of two draws.
    assert stain["answers"] == 8
    assert stain["accuracy"] == stain["right"] / 8
    _check_sums(ended.stdout, written)
    text = (features / "out" / "evaluation.md").read_text()
    assert "| stain | 2 of 6 | 5 |" in text
    assert "**Caution**: fewer than 20 queries of stain (5)" in text


def _check_sums(shown: str, written: dict[str, Any]) -> None:
    """The row `all` is the sum of the rows above it, on the terminal and in the file."""
    rows = [line.split() for line in shown.splitlines()]
    rows = [row for row in rows if row and row[0] in (*NAMES, "all")]
    # The name, "2 of 30", the queries, "41 of 56".
    numbers = [[int(row[place]) for place in (1, 3, 4, 5, 7)] for row in rows]
    assert [sum(column) for column in zip(*numbers[:-1], strict=True)] == numbers[-1]
    for result in written["results"]:
        for key in ("labelled", "queries", "answers", "right"):
            assert result["all"][key] == sum(each[key] for each in result["per_class"].values())
        assert result["all"]["accuracy"] == round(result["all"]["right"] / result["all"]["answers"], 6)
        # Every draw has as many queries here.
        assert result["all"]["accuracy"] == result["accuracy"]


def test_images_on_both_sides_are_counted_and_kept_apart(features: Path) -> None:
    whole = run("evaluate", "--features", features / "imaged", "--shots", 2, *QUICK)
    assert "regions both among the shots and among the queries of a draw" in whole.stderr
    assert "--split image keeps each image on one side" in whole.stderr
    apart = run("evaluate", "--features", features / "imaged", "--shots", 2, *QUICK, "--split", "image")
    assert "on one side" not in apart.stderr
    # One image of each class is drawn, and not the same in both draws.
    assert apart.stdout.splitlines()[2].split()[:4] == ["2", "zip-c", "2", "60"]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("image", "which image each instance came from, and these features do not say"),
        ("folder", "there is no split 'folder' (one of region, image)"),
    ],
)
def test_a_split_that_cannot_be_made(features: Path, split: str, message: str) -> None:
    ended = run("evaluate", "--features", features / "bare", *QUICK, "--split", split, code=2)
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_class_whose_images_are_all_drawn_is_named(features: Path) -> None:
    ended = run("evaluate", "--features", features / "imaged", "--shots", 6, *QUICK, "--split", "image")
    assert "queries of stain (0)" in ended.stderr
    stain = next(line for line in ended.stdout.splitlines() if line.startswith("stain"))
    assert stain.split()[4:] == ["0", "-", "-", "-"]


def with_queries(features: Path) -> Path:
    """The same features, every third of them as a query."""
    tensors = safetensors.numpy.load_file(features / "imaged")
    query = np.arange(60) % 3 == 0
    parts = {
        f"{part}_{name}": tensors[f"support_{name}"][query == (part == "query")]
        for part in ("support", "query")
        for name in ("embeddings", "labels", "images")
    }
    safetensors.numpy.save_file(parts, features / "both", metadata={"class_names": json.dumps(NAMES)})
    return features / "both"


def test_both_directions_with_unbalanced_supports(features: Path) -> None:
    out = features / "out"
    arguments = ("--features", with_queries(features), "--shots", "1,1-2", *QUICK, "--swap", "--out", out)
    ended = run("evaluate", *arguments)
    lines = ended.stdout.splitlines()
    assert [line for line in lines if line.endswith(("query:", "support:", "directions:"))] == [
        "support to query:",
        "query to support:",
        "mean of both directions:",
        "each class, 1-2 shots, head zip, support to query:",
        "each class, 1-2 shots, head zip, query to support:",
    ]
    assert max(map(len, lines)) <= 100
    document = json.loads((out / "evaluation.json").read_text())
    assert document["shots"] == [1, "1-2"]
    assert [(each["direction"], each["shots"], each["queries"]) for each in document["results"]][::2] == [
        ("support to query", 1, 20),
        ("support to query", "1-2", 20),
        ("query to support", 1, 40),
        ("query to support", "1-2", 40),
    ]
    assert all(each["sentence"] in ended.stdout for each in document["differences"])
    first = document["results"][0]["probabilities"]
    assert first["log_loss"]["interval_95"][0] <= first["log_loss"]["value"] <= first["log_loss"]["interval_95"][1]
    # Two draws of 20 queries.
    assert sum(each["decisions"] for each in first["reliability"]) == 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--swap",), "there are no queries of their own (give --query, or a features file with 'query_embeddings'"),
        (("--shots", "2-1"), "'2-1' is not a range of shots (give the fewest, at least 1, and the most, such as 2-5)"),
        (("--shots", "1-2", "--unknown"), "there are only ranges (add a number to --shots, such as 3,2-5)"),
    ],
)
def test_what_cannot_be_exchanged_or_drawn(features: Path, options: tuple[str, ...], message: str) -> None:
    ended = run("evaluate", "--features", features / "bare", *QUICK, *options, code=2)
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_twenty_draws_are_made(features: Path) -> None:
    ended = run("evaluate", "--features", features / "bare", "--heads", "zip-c,zip-f", "--shots", 1, "--steps", 1)
    rows = [line.split()[:4] for line in ended.stdout.splitlines()[1:3]]
    assert rows == [["1", "zip-c", "20", "60"], ["1", "zip-f", "5", "60"]]
    assert "zip-f is trained anew in each draw, so it has the first 5 of the 20 draws (--trained-draws)" in ended.stdout
