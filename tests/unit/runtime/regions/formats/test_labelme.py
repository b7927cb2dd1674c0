"""labelme files."""

from __future__ import annotations

import json

import pytest

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.regions import open_source

SIZE = (40, 60)
SQUARE = [[10, 5], [20, 5], [20, 15], [10, 15]]


def write(path, shapes, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": "5.4.1", "flags": {}, "shapes": shapes, **more}))
    return path


def shape(kind="polygon", points=SQUARE, label="dent", **more):
    return {"label": label, "points": points, "shape_type": kind, **more}


def test_polygon_rectangle_and_circle(tmp_path, save_image):
    save_image(tmp_path / "a.png")
    rectangle = shape("rectangle", [[30.5, 20.2], [22, 10]], "pit")
    write(tmp_path / "a.json", [shape(), rectangle, shape("circle", [[30, 20], [35, 20]])], imagePath="a.png")

    source = open_source(tmp_path)

    assert (source.format, len(source), source.problems) == ("labelme", 1, ())
    (item,) = source
    assert (item.id, item.path) == ("a.json", tmp_path / "a.png")
    polygon, box, circle = item.regions(SIZE).regions
    assert (polygon.box, polygon.area, polygon.label, polygon.source) == ((10, 5, 20, 15), 121, "dent", "a.json#0")
    assert (box.box, box.label, box.source) == ((22, 10, 30, 20), "pit", "a.json#1")
    assert circle.box == (25, 15, 35, 25)
    assert circle.area == pytest.approx(3.14159 * 5.5**2, rel=0.12)


def test_a_bad_shape_costs_only_itself(tmp_path, save_image):
    save_image(tmp_path / "a.png")
    bad = [
        shape("line", [[1, 2], [3, 4]]),
        shape("rectangle", [[1, 2]]),
        shape("rectangle", [["a", 2], [3, 4]]),
        shape("circle", [[float("nan"), 2], [3, 4]]),
        shape(points=[[1, 2], [3, 4]]),
        shape(points="__import__('os')"),
        shape(points=[[1, 2], [3, 4], [5, float("nan")]]),
        shape(points=[[100, 100], [110, 100], [110, 110]]),
        shape(label=["x"]),
        shape(label="x" * 300),
        "no object",
        {"label": "x"},
    ]
    write(tmp_path / "a.json", [*bad, shape()], imagePath="a.png")

    (item,) = open_source(tmp_path)
    reading = item.regions(SIZE)

    assert [(index, region.source) for index, region in reading.indexed] == [(12, "a.json#12")]
    assert [problem.where for problem in reading.problems] == [f"a.json#{number}" for number in range(12)]
    assert all(problem.fix for problem in reading.problems)
    assert "'line'" in reading.problems[0].what


@pytest.mark.parametrize("name", ["../images/a.png", "..\\images\\a.png", "/somewhere/else/a.png", "C:\\data\\a.png"])
def test_where_the_image_is_found(tmp_path, save_image, name):
    climbing = name.startswith("..")
    image = save_image(tmp_path / ("images" if climbing else "labels") / "a.png")
    write(tmp_path / "labels" / "x.json", [shape()], imagePath=name)

    (item,) = open_source(tmp_path / "labels")

    assert item.path.resolve() == image


def test_the_image_of_the_same_name_stands_in(tmp_path, save_image):
    image = save_image(tmp_path / "a.JPG")
    write(tmp_path / "a.json", [shape()], imagePath="renamed.png")

    assert [item.path for item in open_source(tmp_path / "a.json")] == [image]


def test_an_image_root_takes_the_place_of_the_folder(tmp_path, save_image):
    image = save_image(tmp_path / "images" / "a.png")
    write(tmp_path / "labels" / "a.json", [shape()], imagePath="a.png")

    assert [item.path for item in open_source(tmp_path / "labels", image_root=tmp_path / "images")] == [image]


def test_a_broken_file_costs_only_itself(tmp_path, save_image):
    save_image(tmp_path / "a.png")
    write(tmp_path / "a.json", [shape()], imagePath="a.png")
    (tmp_path / "b.json").write_text('{"shapes": [')
    (tmp_path / "c.json").write_text("[" * 100_000)
    (tmp_path / "d.json").write_bytes(b"\xff\xfe\x00")
    write(tmp_path / "e.json", [shape()], imagePath="e.png", imageData="aGVsbG8=")
    write(tmp_path / "f.json", [shape()], imagePath="/etc/hostname\0.png")
    (tmp_path / "g.json").write_text("{}")
    write(tmp_path / "h.json", [], imagePath="a.png")
    write(tmp_path / "i.json", [shape()], imagePath="../" * 40 + "dev/null")

    source = open_source(tmp_path)

    assert [item.id for item in source] == ["a.json"]
    whats = [problem.what for problem in source.problems]
    assert [problem.where.rsplit("/", 1)[-1] for problem in source.problems] == [f"{name}.json" for name in "bcdefgi"]
    assert "not valid JSON" in whats[0]
    assert "not valid JSON" in whats[1]
    assert "UTF-8" in whats[2]
    assert "imageData" in whats[3]
    assert "not a labelme file" in whats[5]


def test_the_index_goes_on_over_files(tmp_path, save_image):
    for name in ("b", "a"):
        save_image(tmp_path / f"{name}.png")
        write(tmp_path / f"{name}.json", [shape(), shape(label="pit")], imagePath=f"{name}.png")

    source = open_source(tmp_path)

    assert [[entry.index for entry in item.annotations] for item in source] == [[0, 1], [2, 3]]
    assert [item.id for item in source] == ["a.json", "b.json"]


def test_nothing_usable_names_the_first_problem(tmp_path):
    write(tmp_path / "a.json", [shape()], imagePath="a.png")

    with pytest.raises(InputError, match=r"no labelme file holds a shape; the first of 1 problem.*a\.png"):
        open_source(tmp_path)
