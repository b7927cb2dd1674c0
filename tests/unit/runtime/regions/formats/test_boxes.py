"""Boxes as a CSV table or as JSON Lines."""

from __future__ import annotations

import json

import pytest

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.regions import open_source

SIZE = (40, 60)


@pytest.fixture
def folder(tmp_path, save_image):
    save_image(tmp_path / "a.png")
    save_image(tmp_path / "images" / "b.png")
    return tmp_path


def test_a_table(folder):
    path = folder / "boxes.csv"
    path.write_text("Image, x1,y1,x2,y2,label\nb.png,1,2,10,20,dent\n\na.png,0,0,4.9,4,\nb.png,5,5,6,6,pit\n")

    source = open_source(path)

    assert (source.format, source.problems) == ("boxes", ())
    assert [(item.id, item.path) for item in source] == [
        ("b.png", folder / "images" / "b.png"),
        ("a.png", folder / "a.png"),
    ]
    assert [[index for index, _ in item.regions(SIZE).indexed] for item in source] == [[0, 2], [1]]
    region = source.images[0].regions(SIZE).regions[0]
    assert (region.box, region.area, region.label, region.source) == ((1, 2, 10, 20), 190, "dent", "boxes.csv#0")
    assert [(region.box, region.label) for region in source.images[1].regions(SIZE).regions] == [((0, 0, 4, 4), None)]


def test_json_lines(folder):
    path = folder / "boxes.jsonl"
    lines = [
        {"image": "a.png", "box": [1, 2, 10, 20], "label": "dent"},
        {"image": "a.png", "box": [1, 2, 10, 20]},
    ]
    path.write_text("\n\n".join(map(json.dumps, lines)) + "\n")

    (item,) = open_source(path)

    assert [(region.label, region.source) for region in item.regions(SIZE).regions] == [
        ("dent", "boxes.jsonl#0"),
        (None, "boxes.jsonl#1"),
    ]


def test_a_table_without_labels(folder):
    (folder / "boxes.csv").write_text("x1,y1,x2,y2,image\n1,2,3,4,a.png\n")

    (item,) = open_source(folder / "boxes.csv")

    assert item.annotations[0].label is None


def test_bad_rows_cost_only_themselves(folder):
    rows = ["a.png,1,2,3,x", "a.png,1,2,3,nan", "a.png,1,2,3,1e300", "a.png,9,2,3,4", "a.png,99,2,199,4"]
    (folder / "boxes.csv").write_text(
        "\n".join(["image,x1,y1,x2,y2", *rows, "a.png,1,2,3,4", "a.png,1", "c.png,1,2,3,4"])
    )

    source = open_source(folder / "boxes.csv")

    assert [problem.where for problem in source.problems] == ["boxes.csv#6", "boxes.csv#7"]
    reading = source.images[0].regions(SIZE)
    assert [index for index, _ in reading.indexed] == [5]
    assert [problem.where for problem in reading.problems] == [f"boxes.csv#{number}" for number in range(5)]


def test_bad_lines_cost_only_themselves(folder):
    lines = [
        '{"image": "a.png", "box": [1, 2, 3, 4]}',
        '{"image": "a.png", "box": [1, 2, 3',
        "[]",
        '{"box": [1, 2, 3, 4]}',
        '{"image": "a.png"}',
        '{"image": "a.png", "box": [1, 2, 3, true]}',
        '{"image": "a.png", "box": [1, 2, 3, 4], "label": 1.5}',
        '{"image": "a.png", "box": [1, 2, 3, Infinity]}',
    ]
    (folder / "boxes.jsonl").write_text("\n".join(lines))

    source = open_source(folder / "boxes.jsonl")

    assert [problem.where for problem in source.problems] == [f"boxes.jsonl#{number}" for number in (1, 2, 3)]
    reading = source.images[0].regions(SIZE)
    assert [index for index, _ in reading.indexed] == [0]
    assert [problem.where for problem in reading.problems] == [f"boxes.jsonl#{number}" for number in (4, 5, 6, 7)]


@pytest.mark.parametrize("content", ["", "image,x1,y1,x2\na.png,1,2,3\n", "\n\n"])
def test_a_malformed_header_is_refused(folder, content):
    (folder / "boxes.csv").write_text(content)

    with pytest.raises(InputError):
        open_source(folder / "boxes.csv", format="boxes")


def test_absolute_names_are_followed_only_into_a_given_root(folder):
    inside, outside = folder / "images" / "b.png", folder / "a.png"
    lines = [json.dumps({"image": str(image), "box": [1, 2, 3, 4]}) for image in (inside, outside)]
    path = folder / "images" / "boxes.jsonl"
    path.write_text("\n".join(lines))

    source = open_source(path, image_root=folder / "images")

    assert [item.path for item in source] == [inside]
    assert len(source.problems) == 1
    assert [item.path for item in open_source(path, image_root=folder)] == [inside, outside]
    # Without a root only the last part of the name counts.
    assert [item.path for item in open_source(path)] == [inside]
