"""What is read from one label file is bounded before it is parsed, and no line keeps a reader busy."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.regions import label_files, open_source
from mvrec_edge.runtime.regions.formats.not_read import known_format
from mvrec_edge.runtime.regions.formats.yolo_lines import looks_like_yolo
from mvrec_edge.runtime.regions.formats.yolo_names import describes_yolo
from mvrec_edge.runtime.regions.own_output import own_output

SIZE = (60, 80)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an image."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((*SIZE, 3), np.uint8))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps({"shapes": [{"a": 1}] * 20})),
        ("a.json", json.dumps({"shapes": [[[1, 2], [3, 4]] * 50]})),
        ("a.csv", "image,x1,y1,x2,y2,label\n" + "a.png,1,1,5,5,d\n" * 30),
        ("a.csv", "image;x1;y1;x2;y2;label\n" + "a.png;1;1;5;5;d\n" * 30),
        ("a.jsonl", '{"image":"a.png","x1":1,"y1":1,"x2":5,"y2":5}\n' * 20),
        ("a.txt", "0 0.5 0.5 0.1 0.1\n" * 40),
        ("a.txt", "0\t0.5\t0.5\t0.1\t0.1\n" * 40),
    ],
)
def test_more_values_than_memory_should_hold_are_refused(
    name: str, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / name).write_text(text, "utf-8")
    monkeypatch.setattr(label_files, "_MOST_PARSED", 10_000)

    with pytest.raises(InputError, match="holds more values than are read from one file"):
        open_source(folder / name)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("1" * 5_000, "has a number of more than 4300 digits in line 3"),
        ("0.5" + "1" * 5_000 + ",\n -" + "1" * 5_000, "has a number of more than 4300 digits in line 4"),
        ("[" * 100_000 + "1" + "]" * 100_000, "is nested too deeply in line 3"),
        ('"]]\\"]",' + '{"a":' * 100_000 + "1" + "}" * 100_000, "is nested too deeply in line 3"),
    ],
)
@pytest.mark.parametrize(
    "around",
    [
        '{"images": [{"id": 1, "file_name": "a.png"}],\n "annotations": [{"image_id": 1, "bbox": [\nVALUE]}]}',
        '{"imagePath": "a.png",\n "shapes": [{"label": "dent", "points": [\nVALUE]}]}',
    ],
    ids=["coco", "labelme"],
)
def test_what_no_label_file_holds_is_told_as_what_it_is(around: str, value: str, said: str, folder: Path) -> None:
    (folder / "a.json").write_text(around.replace("VALUE", value), "utf-8")

    with pytest.raises(InputError, match=said) as caught:
        open_source(folder / "a.json")
    assert "not valid JSON" not in str(caught.value)


def test_of_a_text_of_one_line_no_line_is_named(folder: Path) -> None:
    box = '{"image":"a.png","x1":1,"y1":1,"x2":5,"y2":5}\n'
    (folder / "a.jsonl").write_text(box + box.replace("5", "5" * 5_000), "utf-8")

    whats = [str(problem) for problem in open_source(folder / "a.jsonl").problems]
    assert [what.partition("a.jsonl")[2] for what in whats] == [
        "#1: has a number of more than 4300 digits (correct the number, or export it again)"
    ]


def test_a_table_of_thousands_of_columns_is_refused(folder: Path) -> None:
    (folder / "a.csv").write_text("image,x1,y1,x2,y2,label," + "c," * 4100 + "c\n", "utf-8")

    with pytest.raises(InputError, match="more than 4096 columns"):
        open_source(folder / "a.csv")


def test_a_yolo_file_of_too_many_lines_is_refused_as_that_of_one_image(folder: Path) -> None:
    (folder / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n" * 10_001, "utf-8")

    with pytest.raises(InputError, match="the image has 10001 instances, more than 10000"):
        open_source(folder)


@pytest.mark.parametrize(("names", "what"), [("a\n" * 10_001, "more than 10000 classes"), ("a" * 5_000_000, "longer")])
def test_a_file_with_names_has_no_more_than_classes(names: str, what: str, folder: Path) -> None:
    (folder / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n", "utf-8")
    (folder / "classes.txt").write_text(names, "utf-8")

    with pytest.raises(AnnotationError, match=what):
        open_source(folder)


LINES = {
    "digits of YOLO": lambda folder: looks_like_yolo("0 0.1 0.1 0.1 " + "1" * 50_000 + "x"),
    "words of YOLO": lambda folder: looks_like_yolo("0 " + "0.1 " * 200_000),
    "letters of DOTA": lambda folder: known_format(_file(folder, "b.txt", "1 2 3 4 5 6 7 8 " + "a" * 50_000 + " x")),
    "names of YAML": lambda folder: describes_yolo(_file(folder, "b.yaml", "train:\n  " + "names " * 100_000)),
    "an evaluation": lambda folder: own_output(_file(folder, "b.json", "{\n" + '  "class_names": [\n' * 40_000)),
}


def _file(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, "utf-8")
    return folder / name


@pytest.mark.parametrize("read", LINES.values(), ids=LINES)
def test_no_line_is_gone_over_again_and_again(read: object, folder: Path) -> None:
    assert callable(read)
    # Without that it would not come back for minutes, or hours.
    assert not read(folder) or read is LINES["words of YOLO"]


def test_problems_that_are_kept_hold_nothing_of_where_they_were_raised(folder: Path) -> None:
    shape = {"label": "dent", "points": [[1e7, 1]] * 3}
    (folder / "a.json").write_text(json.dumps({"imagePath": "a.png", "shapes": [shape, {"label": 1.5}]}), "utf-8")
    (image,) = open_source(folder)

    problems = image.regions(SIZE).problems

    assert len(problems) == 2
    for problem in problems:
        assert (problem.__traceback__, problem.__cause__, problem.__context__) == (None, None, None)
    mark = weakref.ref(image.annotations[0].shape)
    del image
    gc.collect()
    assert mark() is None
