"""labelme files."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

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

    assert [(item.id, len(item.annotations)) for item in source] == [("a.json", 1), ("h.json", 0)]
    whats = [problem.what for problem in source.problems]
    assert [problem.where.rsplit("/", 1)[-1] for problem in source.problems] == [f"{name}.json" for name in "bcdefgi"]
    assert "not valid JSON" in whats[0]
    assert "nested too deeply" in whats[1]
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


def png(*boxes, size=(11, 21)):
    """A mask as labelme stores it: ones and zeros, in a PNG, in base64."""
    pixels = np.zeros(size, np.uint8)
    for x1, y1, x2, y2 in boxes:
        pixels[y1 : y2 + 1, x1 : x2 + 1] = 1
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    return base64.b64encode(stream.getvalue()).decode()


def read(folder, shapes, **more):
    """The reading of one file about an image of 60 x 40 pixels, and the warnings of the source."""
    write(folder / "a.json", shapes, imagePath="a.png", **more)
    source = open_source(folder)
    assert source.problems == ()
    return source.images[0].regions(SIZE), source.warnings


@pytest.fixture
def folder(tmp_path, save_image):
    save_image(tmp_path / "a.png")
    return tmp_path


@pytest.mark.parametrize("corner", [30, 31])  # Whether the second corner is the last pixel, or the one behind it.
def test_a_mask_lies_where_its_points_are(folder, corner):
    mask = png((0, 0, 3, 3), (15, 8, 20, 10))
    reading, _ = read(folder, [shape("mask", [[10, 5], [corner, 15]], mask=mask)])

    (region,) = reading.regions
    assert (region.box, region.area, region.label) == ((10, 5, 30, 15), 16 + 18, "dent")
    assert region.mask[5, 10] == region.mask[15, 30] == 255


@pytest.mark.parametrize(
    ("mask", "points", "said"),
    [
        (png((0, 0, 3, 3)), [[10, 5], [40, 15]], "21 x 11 pixels, but its points enclose 31 x 11"),
        (png((0, 0, 3, 3)), [[10, 5], [30, 35]], "its points enclose 21 x 31"),
        (png((0, 0, 20, 10)), [[50, 5], [70, 15]], "reaches over the image"),
        (png(), [[10, 5], [30, 15]], "the mask is empty"),
        (png((0, 0, 3, 3))[:60], [[10, 5], [30, 15]], "the mask cannot be used"),
        (png((0, 0, 3, 3)), [[10, 5]], "two corners"),
        (png((0, 0, 3, 3), size=(41, 61)), [[0, 0], [60, 40]], "61 x 41 pixels, the image 60 x 40"),
        ("not base64!", [[10, 5], [30, 15]], "not a PNG in base64"),
        (base64.b64encode(b"GIF89a" + bytes(40)).decode(), [[10, 5], [30, 15]], "not a PNG in base64"),
        (5, [[10, 5], [30, 15]], "not a PNG in base64"),
        (None, [[10, 5], [30, 15]], "not a PNG in base64"),
    ],
)
def test_a_mask_that_cannot_be_used_is_a_problem(folder, mask, points, said):
    reading, _ = read(folder, [shape("mask", points, mask=mask)])

    assert reading.regions == []
    assert said in reading.problems[0].what
    assert reading.problems[0].where == "a.json#0"


def test_a_mask_is_measured_before_it_is_decoded(folder):
    """Its header says 65535 x 65535 pixels, which would be 4 GiB."""
    data = bytearray(base64.b64decode(png((0, 0, 3, 3))))
    data[16:24] = b"\0\0\xff\xff" * 2
    mask = base64.b64encode(data).decode()

    reading, _ = read(folder, [shape("mask", [[10, 5], [30, 15]], mask=mask)])
    huge, _ = read(folder, [shape("mask", [[0, 0], [65534, 65534]], mask=mask)])

    assert "65535 x 65535" in reading.problems[0].what
    assert len(huge.problems) == 1


@pytest.mark.parametrize("kind", ["rotation", "oriented_rectangle", "rectangle", "quadrilateral"])
def test_a_rectangle_that_lies_aslant_keeps_its_corners(folder, kind):
    points = [[20, 5], [35, 20], [30, 25], [15, 10]]
    more = {} if kind == "rectangle" else {"direction": 0.785}
    reading, _ = read(folder, [shape(kind, points, **more), shape("polygon", points)])

    slanted, polygon = reading.regions
    np.testing.assert_array_equal(slanted.mask, polygon.mask)


def test_four_corners_that_lie_straight_are_a_box(folder):
    reading, _ = read(folder, [shape("rectangle", [[20, 5], [35, 5], [35, 25], [20, 25]])])

    assert (reading.regions[0].box, reading.regions[0].area) == ((20, 5, 35, 25), 16 * 21)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (shape("rectangle", [[20, 5], [35, 25]], direction=0.5), "'direction' turns the region"),
        (shape("rotation", [[20, 5], [35, 25]], direction=0.5), "four corners"),
        (shape("polygon", mask=png((0, 0, 3, 3))), "has a mask, but its type is 'polygon'"),
        (shape("polygon", angle=10), "'angle' turns the region"),
        (shape("linestrip"), "'linestrip' has no area"),
        (shape("points"), "'points' has no area"),
        (shape("polygon", [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]), "shares of the image"),
        (shape("rectangle", [[0.1, 0.1], [0.5, 0.5]]), "shares of the image"),
        (shape(label="half \ud800"), "half a character"),
    ],
)
def test_what_would_move_or_replace_the_region_is_never_passed_over(folder, entry, said):
    reading, _ = read(folder, [entry])

    assert reading.regions == []
    assert said in reading.problems[0].what


def test_shapes_of_one_group_are_one_region(folder):
    far = [[40, 25], [45, 25], [45, 30]]
    mask = png((0, 0, 20, 10))
    shapes = [
        shape(group_id=1),
        shape(label="pit", group_id=None),
        shape("rectangle", [[30, 5], [33, 8]], group_id=1),
        shape(points=far, group_id=0),
        shape("mask", [[35, 25], [55, 35]], group_id=1, mask=mask),
        shape(points=far, label="pit", group_id="1"),
    ]
    reading, _ = read(folder, shapes)

    assert [(index, region.label, region.source) for index, region in reading.indexed] == [
        (0, "dent", "a.json#0"),
        (1, "pit", "a.json#1"),
        (3, "dent", "a.json#3"),
        (5, "pit", "a.json#5"),
    ]
    group = reading.regions[0]
    assert (group.box, group.area) == ((10, 5, 55, 35), 121 + 16 + 231)


def test_a_group_of_two_classes_is_a_problem(folder):
    reading, _ = read(folder, [shape(group_id=4), shape(label="pit", group_id=4), shape()])

    assert [index for index, _ in reading.indexed] == [2]
    assert [problem.what for problem in reading.problems] == [
        "the shapes of group 4 are one defect, but their labels are 'dent' and 'pit'"
    ]


def test_a_group_with_a_broken_shape_is_a_problem(folder):
    reading, _ = read(folder, [shape(group_id=4), shape("line", group_id=4)])

    assert reading.regions == []
    assert [problem.where for problem in reading.problems] == ["a.json#1"]


@pytest.mark.parametrize(
    ("height", "width", "said"),
    [
        (40, 60, None),
        (None, None, None),
        (0, 0, None),
        ("tall", True, None),
        (20, 30, "30 x 20 pixels, but it has 60 x 40"),
        (60, 40, "40 x 60 pixels, but it has 60 x 40"),
    ],
)
def test_the_size_that_the_file_gives_is_compared_with_the_image(folder, height, width, said):
    reading, _ = read(folder, [shape(), shape()], imageHeight=height, imageWidth=width)

    assert len(reading.regions) == 2
    assert [said in warning.what for warning in reading.warnings] == ([] if said is None else [True])
    if said is not None:
        assert ("EXIF" in reading.warnings[0].fix) == (height == 60)


def test_names_in_another_case_or_unicode_form_are_found(tmp_path, save_image):
    image = save_image(tmp_path / "FLA\u0308CHE.PNG")
    write(tmp_path / "x.json", [shape(label="Fla\u0308che")], imagePath="fl\u00e4che.png")

    (item,) = open_source(tmp_path)

    assert item.path == image
    assert item.annotations[0].label == "Fl\u00e4che"


def test_an_image_of_its_own_name_that_stands_in_is_warned_of(tmp_path, save_image):
    save_image(tmp_path / "a.jpg")
    save_image(tmp_path / "b.png")
    write(tmp_path / "a.json", [shape()], imagePath="a.png")
    write(tmp_path / "b.json", [shape()], imagePath="b")

    (warning,) = open_source(tmp_path).warnings

    assert warning.where.endswith("a.json: a.png, a.jpg")


def test_a_copied_label_file_is_warned_of(tmp_path, save_image):
    for name in ("a", "b"):
        save_image(tmp_path / f"{name}.png")
        write(tmp_path / f"{name}.json", [shape()], imagePath="a.png")

    source = open_source(tmp_path)

    assert [item.path.name for item in source] == ["a.png", "a.png"]
    assert [warning.what for warning in source.warnings] == [
        "it names another image than the one with its own name; the named one is taken",
        "a.json and b.json are about the same image, a.png",
        "1 image has no annotation and is not looked at",
    ]


def test_two_images_of_its_own_name_are_not_guessed_between(tmp_path, save_image):
    save_image(tmp_path / "a.jpg")
    save_image(tmp_path / "a.png")
    write(tmp_path / "a.json", [shape()])

    with pytest.raises(InputError, match=r"not clear which image 'a' is: a\.jpg, a\.png"):
        open_source(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_in_an_encoding_that_can_be_known_is_read(folder, encoding):
    text = json.dumps({"shapes": [shape(label="\u00d6lfleck")], "imagePath": "a.png"}, ensure_ascii=False)
    (folder / "a.json").write_bytes(text.encode(encoding))

    assert open_source(folder).images[0].annotations[0].label == "\u00d6lfleck"


def test_json_in_another_encoding_is_named_as_not_utf_8(folder):
    text = json.dumps({"shapes": [shape(label="\u88c2\u7eb9")], "imagePath": "a.png"}, ensure_ascii=False)
    (folder / "a.json").write_bytes(text.encode("gbk"))

    with pytest.raises(InputError, match="is not UTF-8 text: byte"):
        open_source(folder / "a.json")


@pytest.mark.parametrize("radius", [0.4, 3, 7.5, 20])
def test_a_circle_is_its_disc(radius, tmp_path):
    Image.new("RGB", (80, 60)).save(tmp_path / "a.png")
    circle = {"label": "pit", "shape_type": "circle", "points": [[40.5, 30], [40.5 + radius, 30]]}
    (tmp_path / "a.json").write_text(json.dumps({"imagePath": "a.png", "shapes": [circle]}), "utf-8")

    (region,) = next(iter(open_source(tmp_path))).regions((60, 80)).regions

    rows, columns = np.nonzero(region.mask)
    distances = np.hypot(columns - 40.5, rows - 30)
    assert distances.max() <= radius + 0.75
    assert region.area >= np.pi * radius**2
