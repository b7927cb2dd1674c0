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


def read(folder, text):
    """The reading of the first image of a table, and the source."""
    (folder / "boxes.csv").write_text(text)
    source = open_source(folder / "boxes.csv")
    return source.images[0].regions(SIZE), source


@pytest.mark.parametrize(
    "text",
    [
        # TensorFlow's object detection, Roboflow, and others.
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,60,40,dent,1,2,10,20\n",
        "filename,xmin,ymin,xmax,ymax,class\na.png,1,2,10,20,dent\n",
        "image_path,x1,y1,x2,y2,class_name\na.png,1,2,10,20,dent\n",
        "Image Name;Left;Top;Right;Bottom;Category\na.png;1;2;10;20;dent\n",
        "filename;xmin;ymin;xmax;ymax;class\na.png;1,4;2,0;10,9;20,25;dent\n",
        "file\txmin\tymin\txmax\tymax\tlabel\na.png\t1,4\t2\t10\t20\tdent\n",
        "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height\ndent,1,2,10,19,a.png,60,40\n",
        "image,x1,y1,x2,y2,label,width,height\na.png,1,2,10,20,dent,10,19\n",
        "image,x1,y1,x2,y2,label,width,height\na.png,1,2,10,20,dent,9,18\n",
        "image,x1,y1,x2,y2,label,,\na.png,1,2,10,20,dent,,\n",
        'image,x1,y1,x2,y2,label,angle,points\na.png,1,2,10,20,"dent",0.0,[]\n',
        "sep=;\nimage;x1;y1;x2;y2;label\na.png;1;2;10;20;dent\n",
    ],
)
def test_tables_of_other_programs(folder, text):
    reading, source = read(folder, text)

    assert [(region.box, region.label) for region in reading.regions] == [((1, 2, 10, 20), "dent")]
    assert (source.problems, source.warnings, reading.warnings) == ((), (), ())


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("image,filename,x1,y1,x2,y2", "the columns 'image' and 'filename' mean the same"),
        ("image,x1,XMin,y1,x2,y2", "the columns 'x1' and 'XMin' mean the same"),
        ("image,x1,y1,x2,y2,label,Class", "the columns 'label' and 'Class' mean the same"),
        ("image,x1,y1,x2,y2,x2", "the columns 'x2' and 'x2' mean the same"),
    ],
)
def test_two_columns_that_mean_the_same_are_refused(folder, header, said):
    (folder / "boxes.csv").write_text(f"{header}\na.png,1,2,3,4,5,6\n")

    with pytest.raises(InputError, match=said):
        open_source(folder / "boxes.csv")


def test_rows_that_do_not_fit_the_header_cost_only_themselves(folder):
    rows = ["a.png,40,0,50,5,55,0,39,5,dent", "a.png,1,2,3,4,dent, deep", "a.png,1,2,3,4,pit,", "a.png,1,2,3,4"]
    reading, source = read(folder, "\n".join(["image,x1,y1,x2,y2,label", *rows]))

    assert [problem.where for problem in source.problems] == ["boxes.csv#0", "boxes.csv#1"]
    assert "10 cells, but the table only 6 columns" in source.problems[0].what
    assert [region.label for region in reading.regions] == ["pit", None]


@pytest.mark.parametrize("rows", ["a.png,0.1,0.2,0.5,0.9", "a.png,0.1,0.2,0.5,0.9\na.png,0,0,1,1", "a.png,0,0,0.5,1"])
def test_a_table_in_shares_of_the_image_is_refused(folder, rows):
    with pytest.raises(InputError, match="shares of the image, from 0 to 1"):
        read(folder, f"image,x1,y1,x2,y2\n{rows}\n")


def test_a_row_in_shares_of_the_image_is_a_problem_among_others_in_pixels(folder):
    reading, _ = read(folder, "image,x1,y1,x2,y2\na.png,0.1,0.2,0.5,0.9\na.png,5,5,9,9\na.png,0,0,1,1\n")

    assert [index for index, _ in reading.indexed] == [1, 2]
    assert "shares of the image" in reading.problems[0].what


@pytest.mark.parametrize(
    "name", ["angle", "Rotation", "theta", "bbox_rotation", "Rotation (deg)", "angle_deg", "theta_rad", "boxAngle"]
)
def test_a_turned_box_is_a_problem(folder, name):
    reading, _ = read(folder, f"image,x1,y1,x2,y2,{name}\na.png,1,2,9,9,30\na.png,1,2,9,9,0.0\na.png,2,2,9,9,\n")

    assert [index for index, _ in reading.indexed] == [1, 2]
    assert f"'{name}' turns the region" in reading.problems[0].what


def test_an_outline_that_is_not_read_is_warned_of(folder):
    _, source = read(folder, 'image,x1,y1,x2,y2,points\na.png,1,2,9,9,"[[1, 2], [9, 2], [9, 9]]"\n')

    assert ["'points' is not read" in warning.what for warning in source.warnings] == [True]


@pytest.mark.parametrize(("second", "said"), [("dent", "twice"), ("pit", "two labels"), ("", None)])
def test_a_box_that_is_there_twice_is_warned_of(folder, second, said):
    _, source = read(folder, f"image,x1,y1,x2,y2,label\na.png,1,2,9,9,dent\na.png,1,2,9,9.0,{second}\n")

    assert [said in warning.what for warning in source.warnings] == ([] if said is None else [True])


def test_a_row_with_the_image_alone_is_a_part_without_a_defect(folder):
    reading, source = read(folder, "image,x1,y1,x2,y2,label\na.png,,,,,\nb.png,1,2,9,9,dent\n")

    assert reading.regions == []
    assert [len(item.annotations) for item in source] == [0, 1]


@pytest.mark.parametrize(
    ("width", "height", "odd"),
    [("60", "40", False), ("", "0", False), ("x", "", False), ("120", "80", True), ("40", "60", True)],
)
def test_the_size_that_the_table_gives_is_compared_with_the_image(folder, width, height, odd):
    row = f"a.png,{width},{height},dent,1,2,9,9\n"
    reading, _ = read(folder, "filename,width,height,class,xmin,ymin,xmax,ymax\n" + row * 2)

    assert len(reading.regions) == 2
    assert len(reading.warnings) == odd


def test_lines_with_what_is_not_read(folder):
    lines = [
        {"image": "a.png", "box": [1, 2, 10, 20], "angle": 30},
        {"image": "a.png", "box": [1, 2, 10, 20], "angle": 0, "polygon": [[1, 2], [3, 4], [5, 6]]},
        {"image": "a.png", "box": [1, 2, 10, 20], "image_width": 6, "image_height": 4},
        {"image": "a.png", "box": [1, 2, 10, 20], "width": 10, "height": 19},
        {"image": "a.png", "box": [1, 2, 10, 20], "width": 7, "height": 5},
    ]
    (folder / "boxes.jsonl").write_text("\n".join(map(json.dumps, lines)))

    source = open_source(folder / "boxes.jsonl")
    reading = source.images[0].regions(SIZE)

    assert ["'angle' turns the region" in problem.what for problem in reading.problems] == [True]
    assert ["'polygon' is not read" in source.warnings[0].what, "6 x 4" in reading.warnings[0].what] == [True, True]
    assert ["7 x 5" in warning.what for warning in reading.warnings] == [False, True]


def test_a_table_by_another_ending(folder):
    (folder / "boxes.tsv").write_text("image\tx1\ty1\tx2\ty2\na.png\t1,5\t2\t9\t9\n")

    for place in (folder / "boxes.tsv", folder):
        assert open_source(place).images[0].regions(SIZE).regions[0].box == (1, 2, 9, 9)


def test_several_tables_keep_images_of_one_name_apart(tmp_path, save_image):
    for number, subset in enumerate(("train", "valid")):
        save_image(tmp_path / subset / "a.png")
        (tmp_path / subset / "_annotations.csv").write_text(
            f"filename,xmin,ymin,xmax,ymax,class\na.png,{number},2,9,9,dent\n"
        )

    source = open_source(tmp_path)

    assert [item.id for item in source] == ["train/a.png", "valid/a.png"]
    assert [(entry.index, entry.source) for item in source for entry in item.annotations] == [
        (0, "train/_annotations.csv#0"),
        (1, "valid/_annotations.csv#0"),
    ]


def test_labels_in_another_unicode_form_are_one_class(folder):
    reading, _ = read(folder, "image,x1,y1,x2,y2,label\na.png,1,2,9,9,Fl\u00e4che\na.png,2,2,9,9,Fla\u0308che\n")

    assert [region.label for region in reading.regions] == ["Fl\u00e4che"] * 2


def test_a_cell_of_several_lines_is_a_problem_of_its_row(folder):
    rows = 'a.png,1,2,9,9,"dent\nb.png,5,5,20,20,scratch\na.png,1,2,9,9,dent"\na.png,2,2,9,9,pit\n'
    reading, source = read(folder, f"image,x1,y1,x2,y2,label\n{rows}")

    assert [region.label for region in reading.regions] == ["pit"]
    assert [(problem.where, "'label' goes over several lines" in problem.what) for problem in source.problems] == [
        ("boxes.csv#0", True)
    ]


def test_a_quote_behind_a_blank_is_no_part_of_the_label(folder):
    reading, _ = read(folder, 'image, x1, y1, x2, y2, label\n"a.png", 1, 2, 9, 9, "dent, deep"\n')

    assert [region.label for region in reading.regions] == ["dent, deep"]


@pytest.mark.parametrize(
    "text",
    [
        "image;x1;y1;x2;y2\na.png;1.234;1.100;1.300;1.200\n",
        "image\tx1\ty1\tx2\ty2\na.png\t1,234\t1,100\t1,300\t1,200\n",
        "image,x1,y1,x2,y2\na.png,1.234,1.100,1.300,1.200\n",
        "image;left;top;bbox_w;bbox_h\na.png;20;30;1.300;1.200\n",
    ],
)
def test_a_table_in_thousands_is_refused(folder, text):
    with pytest.raises(InputError, match=r"of boxes.csv#0 is '1[.,].*thousands or fractions"):
        read(folder, text)


@pytest.mark.parametrize(
    "line",
    [
        {"filename": "a.png", "box": [1, 2, 10, 20], "class": "dent"},
        {"Image": "a.png", "Box": [1, 2, 10, 20], "Label": "dent"},
        {"image_path": "a.png", "xmin": 1, "ymin": 2, "xmax": "10", "ymax": 20, "category": "dent"},
        {"image": "a.png", "left": 1, "top": 2, "bbox_w": 10, "bbox_h": 19, "label": "dent", "score": 0.5},
        {"image": "a.png", "box": [1, 2, 10, 20], "label": "dent", "Img Width": 60, "width": 10, "img-height": 40},
    ],
)
def test_keys_have_the_names_of_columns(folder, line):
    (folder / "boxes.jsonl").write_text(json.dumps(line))

    source = open_source(folder / "boxes.jsonl")
    reading = source.images[0].regions(SIZE)

    assert [(region.box, region.label) for region in reading.regions] == [((1, 2, 10, 20), "dent")]
    assert (source.problems, reading.problems, reading.warnings) == ((), (), ())


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"label": "dent", "class": "pit"}, "'label' and 'class' mean the same"),
        ({"filename": "b.png"}, "'image' and 'filename' mean the same"),
        ({"BOX": [1, 2, 3, 4]}, "'box' and 'BOX' mean the same"),
        ({"x1": 1, "y1": 2, "x2": 3, "y2": 4}, "'x1' and 'box' mean the same"),
    ],
)
def test_keys_that_mean_the_same_are_a_problem_of_their_line(folder, keys, said):
    line = {"image": "a.png", "box": [1, 2, 10, 20]}
    (folder / "boxes.jsonl").write_text("\n".join(map(json.dumps, [line, {**line, **keys}])))

    source = open_source(folder / "boxes.jsonl")

    assert [(problem.where, said in problem.what) for problem in source.problems] == [("boxes.jsonl#1", True)]
    assert len(source.images[0].annotations) == 1


@pytest.mark.parametrize("keys", [{"x1": 1}, {"x1": 1, "y1": 2, "x2": 3}, {"left": 1, "top": 2, "bbox_w": 3}, {}])
def test_a_line_without_a_whole_box_is_a_problem(folder, keys):
    (folder / "boxes.jsonl").write_text(json.dumps({"image": "a.png", **keys}))

    assert len(open_source(folder / "boxes.jsonl").images[0].regions(SIZE).problems) == 1
