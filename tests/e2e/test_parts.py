"""One support cache for several parts: learned from folders, a column or one name, and used with or without a part."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.calib.fitting.review_fitting import describe_review
from mvrec_edge.runtime import SupportCache
from mvrec_edge.runtime.support.parts import join_parts, part_of
from mvrec_edge.runtime.support.review_limits import ReviewLimits
from mvrec_edge.testing.dataset import write_dataset
from tests.e2e.commands import error_line, run

ENGINE = ("--engine", "onnxruntime")
LEARN = ("--view-recipe", "ms", "--resample", "fast", *ENGINE)


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("line") / "products"
    for part, families, seed in (("knob", ("scratch", "pit"), 0), ("tile", ("scratch", "stain"), 1)):
        write_dataset(folder / part, families=families, per_class=3, size=(120, 160), seed=seed)
    return folder


@pytest.fixture(scope="module")
def made(products: Path, tiny_bundle_path: Path) -> Path:
    out = products.parent / "line.safetensors"
    result = run("calibrate", tiny_bundle_path, products, "--part-from", "folder", "--out", out, *LEARN)
    assert "parts: knob, tile; where none is given, the embedding chooses" in result.stderr
    assert "knob/pit 3, knob/scratch 3, tile/scratch 3, tile/stain 3" in result.stderr
    return out


@pytest.fixture
def line(made: Path, tmp_path: Path) -> Path:
    path = tmp_path / "line.safetensors"
    path.write_bytes(made.read_bytes())
    return path


def own(products: Path, bundle: Path, part: str, *more: object) -> Path:
    out = products.parent / f"{'-'.join(map(str, (part, *more)))}.safetensors"
    if not out.exists():
        run("calibrate", bundle, products / part, "--out", out, *LEARN, *more)
    return out


def test_each_part_is_what_it_would_be_alone(made: Path, products: Path, tiny_bundle_path: Path) -> None:
    cache = SupportCache.load(made)
    for part in ("knob", "tile"):
        assert part_of(cache, part).to_bytes() == own(products, tiny_bundle_path, part).read_bytes()


def test_merged_caches_of_parts_are_the_one_that_is_learned_at_once(
    made: Path, products: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    line = tmp_path / "line.safetensors"
    line.write_bytes(own(products, tiny_bundle_path, "knob").read_bytes())
    run("support", "merge", line, own(products, tiny_bundle_path, "tile"), "--part", "knob", "--part", "tile")
    assert line.read_bytes() == made.read_bytes()
    named = own(products, tiny_bundle_path, "tile", "--part", "tile")
    assert SupportCache.load(named).part_names == ("tile",)
    line.write_bytes(own(products, tiny_bundle_path, "knob").read_bytes())
    run("support", "merge", line, named, "--part", "knob")
    assert line.read_bytes() == made.read_bytes()
    failed = run("support", "merge", line, own(products, tiny_bundle_path, "knob"), code=3)
    assert "1 support cache without a part, but 0 parts given" in error_line(failed)


def test_a_part_that_is_given_decides_as_its_own_cache(
    made: Path, products: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    images = products / "tile"
    out, alone, table = tmp_path / "given.jsonl", tmp_path / "alone.jsonl", tmp_path / "given.csv"
    run("classify", tiny_bundle_path, made, images, "--part", "tile", "--out", out, "--csv", table, *ENGINE)
    run("classify", tiny_bundle_path, own(products, tiny_bundle_path, "tile"), images, "--out", alone, *ENGINE)
    for given, single in zip(_records(out), _records(alone), strict=True):
        assert given.pop("part") == "tile"
        assert given.pop("part_given") is True
        assert 0 <= given.pop("part_probability") <= 1
        assert given["run"].pop("part") == "tile"
        for name in ("label", "probabilities", "nearest", "novelty", "views"):
            assert given[name] == single[name]
        assert given.keys() == single.keys()
        assert given["run"].keys() == single["run"].keys()
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["part"] for row in rows} == {row["run_part"] for row in rows} == {"tile"}


def test_folders_give_the_parts_and_the_embedding_chooses_them(
    made: Path, products: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    given, chosen = tmp_path / "given.jsonl", tmp_path / "chosen.jsonl"
    page = tmp_path / "report.html"
    run("classify", tiny_bundle_path, made, products, "--part-from", "folder", "--out", given, *ENGINE)
    run("classify", tiny_bundle_path, made, products / "knob", "--out", chosen, "--report", page, *ENGINE)
    assert [record["part"] for record in _records(given)] == ["knob"] * 6 + ["tile"] * 6
    assert all(record["part_given"] for record in _records(given))
    assert not any(record["part_given"] for record in _records(chosen))
    assert {record["part"] for record in _records(chosen)} <= {"knob", "tile"}
    text = page.read_text("utf-8")
    assert '"knob/pit"' in text
    assert '"tile/stain"' in text
    again = run("classify", tiny_bundle_path, made, products / "knob", "--out", chosen, "--resume", *ENGINE)
    assert "0 regions" in again.stderr
    other = ("--part", "tile", "--out", chosen, "--resume", *ENGINE)
    assert "part" in error_line(run("classify", tiny_bundle_path, made, products / "knob", *other, code=6))


def test_a_column_gives_the_parts(products: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    rows = ["image,x1,y1,x2,y2,label,part"]
    for part in ("knob", "tile"):
        for place, image in enumerate(sorted((products / part).rglob("*.jpg"))):
            rows.append(f"{image},30,30,60,60,{image.parent.parent.name},{part if place else ''}")
    table = products.parent / "boxes.csv"
    table.write_text("\n".join(rows) + "\n")
    out = tmp_path / "line.safetensors"
    how = ("--image-root", "/", *LEARN)
    result = run("calibrate", tiny_bundle_path, table, "--part-from", "column", "--out", out, *how, code=1)
    assert result.stderr.count("has no part") == 2
    assert SupportCache.load(out).part_names == ("knob", "tile")
    records = tmp_path / "given.jsonl"
    given = ("--part-from", "column", "--image-root", "/", "--out", records, *ENGINE)
    run("classify", tiny_bundle_path, out, table, *given)
    assert sum(record["part_given"] for record in _records(records)) == 10
    # Without being asked for, the column says nothing.
    run("calibrate", tiny_bundle_path, table, "--out", tmp_path / "one.safetensors", *how)
    assert SupportCache.load(tmp_path / "one.safetensors").parts == ()


def test_what_is_in_a_part_is_shown_and_changed_there(line: Path, products: Path, tiny_bundle_path: Path) -> None:
    listed = run("support", "list", line, "--check").stdout
    assert "knob/scratch" in listed
    assert json.loads(run("support", "list", line, "--json").stdout)[0]["part"] == "knob"
    shown = run("inspect", line).stdout
    assert "knob: head" in shown
    assert "tile: classes" in shown
    before = SupportCache.load(line)
    run("support", "rename", line, "tile/stain", "oil", "--new-class")
    image = sorted((products / "tile").rglob("*.jpg"))[0]
    add = ("support", "add", line, image, "--bundle", tiny_bundle_path, "--force", *ENGINE)
    assert "which one the defects are of" in error_line(run(*add, "--label", "oil", code=2))
    assert "no part 'shaft'" in error_line(run(*add, "--label", "oil", "--part", "shaft", code=2))
    run(*add, "--label", "tile/oil")
    run("support", "remove", line, "0", "--force")
    after = SupportCache.load(line)
    assert after.counts == {"knob/pit": 2, "knob/scratch": 3, "tile/scratch": 3, "tile/oil": 4}
    np.testing.assert_array_equal(after.embeddings[:5], before.embeddings[1:6])
    assert "2 parts" in run("support", "history", line).stdout


def test_parts_are_evaluated_together_and_alone(products: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    learn = ("--shots", "1", "--draws", "2", "--store", tmp_path / "store", *LEARN)
    out = tmp_path / "evaluation"
    told = ("evaluate", tiny_bundle_path, products, "--part-from", "folder")
    result = run(*told, "--heads", "auto,zip-f", "--out", out, *learn)
    assert "left out: zip-f" in result.stderr
    assert "auto, 1 shot, knob" in result.stdout
    written = json.loads((out / "parts.json").read_text())
    assert [(row["part"], row["queries"]) for row in written["results"]] == [("knob", [4, 4]), ("tile", [4, 4])]
    assert all(row["own"] == row["given"] >= row["chosen"] for row in written["results"])
    assert "zip-f" in error_line(run(*told, "--heads", "zip-f", *learn, code=2))
    assert "--unknown" in error_line(run(*told, "--unknown", *learn, code=2))


def test_what_does_not_go_together_is_refused(
    made: Path, products: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new.safetensors"
    learn = ("calibrate", tiny_bundle_path, products, "--out", out, *ENGINE)
    both = ("--part", "tile", "--part-from", "folder")
    assert "give one of the two" in error_line(run(*learn, *both, code=2))
    assert "'row'" in error_line(run(*learn, "--part-from", "row", code=2))
    assert "--tune" in error_line(run(*learn, "--part-from", "folder", "--tune", code=2))
    assert "zip-f" in error_line(run(*learn, "--part-from", "folder", "--head", "zip-f", code=2))
    assert "no parts" in error_line(run(*learn, "--part-from", "column", code=3))
    loose = tmp_path / "loose"
    shutil.copytree(products, loose)
    shutil.copy(next(loose.rglob("*.jpg")), loose / "a.jpg")
    learn = ("calibrate", tiny_bundle_path, loose, "--out", out, *ENGINE)
    assert "images beside the folders of parts" in error_line(run(*learn, "--part-from", "folder", code=3))
    single = own(products, tiny_bundle_path, "tile")
    told = ("classify", tiny_bundle_path, single, products / "tile", "--out", tmp_path / "x.jsonl", *ENGINE)
    assert "has no parts" in error_line(run(*told, "--part", "tile", code=2))
    told = ("classify", tiny_bundle_path, made, products / "tile", "--out", tmp_path / "x.jsonl", *ENGINE)
    assert "no part 'shaft'" in error_line(run(*told, "--part", "shaft", code=2))


def test_limits_for_review_are_of_each_part(products: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    share = ("--right-at-least", "50%")
    plain, limited = own(products, tiny_bundle_path, "knob"), own(products, tiny_bundle_path, "tile", *share)
    line = tmp_path / "line.safetensors"
    line.write_bytes(plain.read_bytes())
    merged = run("support", "merge", line, limited, "--part", "knob", "--part", "tile")
    assert "part 'knob' has no limit for review" in merged.stderr
    told = run("inspect", line).stdout
    assert "knob: review" in told
    assert "nothing goes to a human" in told
    assert json.loads(run("inspect", line, "--json").stdout)["tile: review"] == describe_review(
        part_of(SupportCache.load(line), "tile")
    )
    records = tmp_path / "given.jsonl"
    given = run("classify", tiny_bundle_path, line, products, "--part-from", "folder", "--out", records, *ENGINE)
    assert " of 6 (" in given.stderr
    assert ", and 6 other regions without a limit" in given.stderr
    assert ["review" in record for record in _records(records)] == [False] * 6 + [True] * 6


def test_a_wrong_part_is_looked_at_by_a_human(products: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    line, records = tmp_path / "line.safetensors", tmp_path / "wrong.jsonl"
    run("calibrate", tiny_bundle_path, products, "--part-from", "folder", "--out", line, *LEARN)
    cache = SupportCache.load(line)
    # Of two classes the more probable one reaches this limit; only the doubt in the part can send a region to a human.
    review = ReviewLimits(0.5, 0.9, (0.5, 0.5), (False, False), 6, 6, 0)
    parts = {name: part_of(cache, name).changed(review=review) for name in cache.part_names}
    join_parts(parts, None if cache.part_fits is None else cache.part_fits.head).save(line)
    assert "tile: review" in run("inspect", line).stdout
    run("classify", tiny_bundle_path, line, products / "tile", "--part", "knob", "--out", records, *ENGINE)
    wrong = [record for record in _records(records) if float(str(record["part_probability"])) < 0.5]
    assert wrong
    assert all(record["review"] for record in wrong)
    run(
        "classify",
        tiny_bundle_path,
        line,
        products / "tile",
        "--part",
        "tile",
        "--out",
        records,
        "--overwrite",
        *ENGINE,
    )
    right = [record for record in _records(records) if float(str(record["part_probability"])) > 0.5]
    assert right
    assert not any(record["review"] for record in right if float(str(record["probability"])) >= 0.5)


def test_a_single_part_may_follow_the_line(made: Path, products: Path, tiny_bundle_path: Path) -> None:
    single = own(products, tiny_bundle_path, "tile", "--head", "zip-w", "--part", "tile", "--right-at-least", "50%")
    more = ("--recentre", *ENGINE)
    for part in ((), ("--part", "tile")):
        result = run("classify", tiny_bundle_path, single, products / "tile", *part, *more)
        assert "the centre has moved by 0." in result.stderr
        assert "tried about the support's centre" in result.stderr
    refused = run("classify", tiny_bundle_path, made, products / "tile", "--part", "tile", *more, code=2)
    assert "several parts" in error_line(refused)


def _records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
