"""One bad item among good ones costs itself, in every command that reads labelled images."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mvrec_edge.runtime import SupportCache
from tests.e2e.commands import run

FAST = ("--engine", "onnxruntime", "--threads", 1)
NOT_UTF8 = os.fsdecode(b"line-\xff-\xc3.jpg")
SPELLED = r"line-\udcff-\udcc3.jpg"
LONG = "n" * 246 + ".jpg"


def draw(path: Path, seed: int) -> None:
    """An image, and a mask beside it where the name has room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(60, 120, (64, 96, 3), np.uint8)
    image[10:30, 8:30] = 20 * (seed % 10)
    path.write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
    mask = np.zeros((64, 96), np.uint8)
    mask[10:30, 8:30] = 255
    path.with_suffix(".png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())


def labelme(path: Path, *shapes: object, **more: object) -> None:
    """A labelme file with a good shape behind the others."""
    good = {"label": "dent", "points": [[8, 10], [29, 10], [29, 29], [8, 29]]}
    content = {"imagePath": "a.jpg", "shapes": [*shapes, good], **more}
    path.write_bytes(json.dumps(content).encode("ascii"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_bundle_path: Path) -> Path:
    """A folder with a bundle, labelled images, and support caches of two kinds of views."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "b.bundle").symlink_to(tiny_bundle_path)
    for number in range(6):
        draw(folder / "labelled" / ("dent", "pit")[number % 2] / f"{number}.jpg", number)
    for name, recipe in (("line", "none"), ("boxes", "mso_bbox")):
        out = ("--view-recipe", recipe, "--resample", "fast", "--out", folder / f"{name}.safetensors")
        run("calibrate", folder / "b.bundle", folder / "labelled", *out, *FAST)
    return folder


@pytest.fixture
def line(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder: the same, with one good image in `in`."""
    for name in ("b.bundle", "labelled", "line.safetensors", "boxes.safetensors"):
        (tmp_path / name).symlink_to(made / name)
    draw(tmp_path / "in" / "good.jpg", 10)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def classify(*arguments: object, code: int = 0, cache: str = "line.safetensors") -> subprocess.CompletedProcess[str]:
    return run("classify", "b.bundle", cache, *arguments, *FAST, code=code)


def records(path: str = "r.jsonl") -> list[dict[str, Any]]:
    return [json.loads(text) for text in Path(path).read_text("utf-8").splitlines()]


BAD_SHAPES = {
    "half a character": {"label": "dent\ud800", "points": [[1, 1], [9, 1], [9, 9]]},
    "a circle of 10^308": {"label": "dent", "shape_type": "circle", "points": [[1e308, 5], [-1e308, 5]]},
    "a circle of 10^8": {"label": "dent", "shape_type": "circle", "points": [[5, 5], [1e8, 5]]},
    "a mask of 10^308": {"label": "dent", "shape_type": "mask", "points": [[0, 0], [1e308, 5]], "mask": ""},
    "a polygon of 10^400": {"label": "dent", "points": [[10**400, 1], [9, 1], [9, 9]]},
    "a turned box of NaN": {"label": "dent", "shape_type": "rotation", "points": [[float("nan"), 1]] * 4},
    "an endless rectangle": {"label": "dent", "shape_type": "rectangle", "points": [[-float("inf"), 1], [5, 5]]},
    "a label of 5000 letters": {"label": "d" * 5000, "points": [[1, 1], [9, 1], [9, 9]]},
    "a label of 5000 digits": {"label": 10**4000, "points": [[1, 1], [9, 1], [9, 9]]},
    "no shape": None,
    "a group of nothing": {"group_id": 10**400, "label": "dent", "points": []},
}


@pytest.mark.parametrize("bad", BAD_SHAPES.values(), ids=BAD_SHAPES)
def test_a_bad_shape_is_an_error_record_and_the_rest_goes_on(bad: object, line: Path) -> None:
    labelled = line / "shapes"
    draw(labelled / "a.jpg", 3)
    labelme(labelled / "a.json", bad)

    classify("shapes", "--out", "r.jsonl", "--csv", "r.csv", "--overlay", "o", "--report", "r.html", code=1)

    good, failed = sorted(records(), key=lambda record: "error" in record)
    assert good["region"].endswith("#1")
    assert failed["error"]["where"] == "a.json#0"
    classify("shapes", "--out", "r.jsonl", "--resume", code=1)
    assert len(records()) == 2


SIZES = {
    "labelme": {"imageHeight": 10**400, "imageWidth": float("nan")},
    "labelme of texts": {"imageHeight": "1e400", "imageWidth": "9" * 5000},
}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_declared_size_that_is_no_size_says_nothing(size: dict[str, object], line: Path) -> None:
    draw(line / "shapes" / "a.jpg", 3)
    labelme(line / "shapes" / "a.json", **size)

    classify("shapes", "--out", "r.jsonl")

    assert len(records()) == 1


@pytest.mark.parametrize("command", ["classify", "calibrate", "evaluate", "add", "report"])
def test_a_box_that_is_too_large_for_windows_of_its_size_costs_itself(command: str, line: Path) -> None:
    boxes = "image,x1,y1,x2,y2,label\n" + "".join(f"{n}.jpg,8,10,29,29,{'dp'[n % 2]}\n" for n in range(6))
    for number in range(6):
        draw(line / "boxed" / f"{number}.jpg", number)
    (line / "boxed" / "boxes.csv").write_text(boxes + "0.jpg,-45000,-45000,45000,45000,d\n", "utf-8")
    table = line / "boxed" / "boxes.csv"
    said = "a window of 89910 x 89910 pixels is too large to cut"
    of_boxes = ("--view-recipe", "mso_bbox", "--resample", "fast")

    if command in ("classify", "report"):
        ended = classify(table, "--out", "r.jsonl", "--overlay", "o", cache="boxes.safetensors", code=1)
        assert sorted("error" in record for record in records()) == [False] * 6 + [True]
        if command == "report":
            run("report", "r.jsonl", "--out", "r.html", "--cache", "boxes.safetensors")
    elif command == "calibrate":
        ended = run("calibrate", "b.bundle", table, *of_boxes, "--out", "new.safetensors", *FAST, code=1)
        assert len(SupportCache.load("new.safetensors").labels) == 6
    elif command == "evaluate":
        few = ("--shots", 1, "--draws", 1)
        ended = run("evaluate", "b.bundle", table, *of_boxes, *few, "--out", "e", *FAST, code=1)
        assert Path("e/evaluation.json").exists()
    else:
        cache = line / "own.safetensors"
        cache.write_bytes(Path("boxes.safetensors").read_bytes())
        ended = run("support", "add", cache, table, "--bundle", "b.bundle", *FAST, code=1)
        assert len(SupportCache.load(cache).labels) == 12
    assert said in ended.stderr
    assert "boxes.csv#6" in ended.stderr


def test_a_long_name_has_a_picture_all_the_same(line: Path) -> None:
    for name in (LONG, "ü" * 123 + ".jpg", "ü" * 122 + "ab.jpg"):
        draw(line / "in" / name, 3)

    classify("in", "--out", "r.jsonl", "--overlay", "o")

    pictures = {record["image"]: Path(record["picture"]) for record in records()}
    assert len(set(pictures.values())) == 4
    assert all(picture.is_file() for picture in pictures.values())
    assert len(os.fsencode(pictures[f"in/{LONG}"].name)) <= 255


def test_a_name_that_is_not_utf8_is_reversible_everywhere(line: Path) -> None:
    draw(line / "in" / NOT_UTF8, 3)
    # The same letters as the escape of the other.
    draw(line / "in" / SPELLED, 4)

    classify("in", "--out", "r.jsonl", "--csv", "r.csv", "--overlay", "o", "--report", "r.html")

    names = [record["image"] for record in records()]
    assert {Path(name).name for name in names} == {"good.jpg", NOT_UTF8, SPELLED}
    assert {os.fsencode(name) for name in names} == {os.fsencode(path) for path in Path("in").glob("*.jpg")}
    cells = {row["image"] for row in csv.DictReader(Path("r.csv").read_text("utf-8").splitlines())}
    assert cells == {"in/good.jpg", rf"in/{SPELLED}", "in/" + SPELLED.replace("\\", "\\\\")}
    classify("in", "--out", "r.jsonl", "--csv", "r.csv", "--resume")
    assert len(records()) == 3
    run("report", "r.jsonl", "--out", "again.html")
    assert NOT_UTF8.encode("utf-8", "surrogateescape") not in Path("again.html").read_bytes()


@pytest.mark.parametrize("command", ["calibrate", "evaluate", "add"])
def test_a_name_that_is_not_utf8_is_learned_from(command: str, line: Path) -> None:
    for number in range(4):
        draw(line / "parts" / ("dent", "pit")[number % 2] / f"{number}.jpg", number)
    draw(line / "parts" / "pit" / NOT_UTF8, 8)

    if command == "evaluate":
        few = ("--shots", 1, "--draws", 1)
        run("evaluate", "b.bundle", "parts", *few, "--out", "e", "--view-recipe", "none", *FAST)
        assert Path("e/evaluation.json").exists()
        return
    cache = line / "own.safetensors"
    if command == "calibrate":
        run("calibrate", "b.bundle", "parts", "--view-recipe", "none", "--out", cache, *FAST)
    else:
        cache.write_bytes(Path("line.safetensors").read_bytes())
        run("support", "add", cache, "parts", "--bundle", "b.bundle", *FAST)
        run("support", "list", cache)
    assert any(NOT_UTF8.removesuffix(".jpg") in source for source in SupportCache.load(cache).sources)
    classify("in", "--out", "r.jsonl", "--report", "r.html", cache=str(cache))
    assert len(records()) == 1


def test_a_class_folder_whose_name_is_not_utf8_costs_its_images(line: Path) -> None:
    for number in range(4):
        draw(line / "parts" / ("dent", "pit")[number % 2] / f"{number}.jpg", number)
    draw(line / "parts" / os.fsdecode(b"\xff") / "a.jpg", 8)

    ended = run("calibrate", "b.bundle", "parts", "--view-recipe", "none", "--out", "own.safetensors", *FAST, code=1)

    assert "half a character" in ended.stderr
    assert SupportCache.load("own.safetensors").class_names == ("dent", "pit")
