"""Folders with label files of two formats: what is not read is said, and what is lost with it is a problem."""

from __future__ import annotations

import json

import pytest

from mvrec_edge.runtime.regions import open_source

VOC = (
    "<annotation><filename>{0}.png</filename><object><name>dent</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
    "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
)
TABLE = "image,x1,y1,x2,y2,label\n{0}.png,1,1,9,9,dent\n"


def labelme(name):
    shape = {"label": "dent", "points": [[1, 2], [9, 2], [9, 9]]}
    return json.dumps({"shapes": [shape], "imagePath": f"{name}.png"})


def coco(name):
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}
    images = [{"id": 1, "file_name": f"{name}.png"}]
    return json.dumps({"images": images, "annotations": [entry], "categories": [{"id": 1, "name": "dent"}]})


def write(folder, **files):
    """Files by their names, with `_` for the dot; the images are there already."""
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)


FOLDERS = {
    "labelme and voc": ({"a_json": labelme("a"), "b_xml": VOC.format("b")}, "labelme (a.json)", "voc", "b.xml"),
    "voc and labelme": ({"a_xml": VOC.format("a"), "b_json": labelme("b")}, "Pascal VOC (a.xml)", "labelme", "b.json"),
    "labelme and yolo": ({"a_json": labelme("a"), "b_txt": "0 .5 .5 .2 .2"}, "labelme (a.json)", "yolo", "b.txt"),
    "labelme and a table": ({"a_json": labelme("a"), "t_csv": TABLE.format("b")}, "labelme (a.json)", "boxes", "t.csv"),
    "voc and coco": ({"a_xml": VOC.format("a"), "c_json": coco("b")}, "Pascal VOC (a.xml)", "coco", "c.json"),
    "coco and a table": ({"c_json": coco("a"), "t_csv": TABLE.format("b")}, "COCO (c.json)", "boxes", "t.csv"),
    "coco and yolo": ({"c_json": coco("a"), "b_txt": "0 .5 .5 .2 .2"}, "COCO (c.json)", "yolo", "b.txt"),
    "a table and yolo": ({"t_csv": TABLE.format("a"), "b_txt": "0 .5 .5 .2 .2"}, "boxes (t.csv)", "yolo", "b.txt"),
}


@pytest.mark.parametrize(("files", "read", "other", "file"), FOLDERS.values(), ids=FOLDERS)
def test_what_is_lost_with_another_format_is_a_problem(tmp_path, save_image, files, read, other, file):
    save_image(tmp_path / "a.png")
    save_image(tmp_path / "b.png")
    write(tmp_path, **files)

    source = open_source(tmp_path)
    [problem] = source.problems
    chosen = open_source(tmp_path, format=other)

    assert [image.path.name for image in source if image.annotations] == ["a.png"]
    assert f"not read: {problem.what.split(', and ')[1].split(' (')[0]} ({file})" in source.describe()
    assert f"is read as {read}, and " in problem.what
    assert f"({file}) is not read: what it marks on 1 image is lost (b.png)" in problem.what
    assert f"give --format {other}" in problem.fix
    assert "b.png" in [image.path.name for image in chosen if image.annotations]
    assert not [each for each in chosen.problems if "not read" in each.what]
    assert "; not read: " in chosen.describe()


def test_the_same_marks_in_another_format_are_only_warned_of(tmp_path, save_image):
    save_image(tmp_path / "a.png")
    write(tmp_path, a_json=labelme("a"), a_xml=VOC.format("a"))

    source = open_source(tmp_path)

    assert source.problems == ()
    assert [warning.what for warning in source.warnings] == [
        "the folder is read as labelme (a.json), and Pascal VOC (a.xml) is not read: it marks nothing more"
    ]


def test_more_marks_on_the_same_image_are_lost(tmp_path, save_image):
    save_image(tmp_path / "a.png")
    write(tmp_path, a_json=labelme("a"), t_csv=TABLE.format("a") + "a.png,3,3,8,8,dent\n")

    [problem] = open_source(tmp_path).problems

    assert "what it marks on 1 image is lost (a.png)" in problem.what


def test_a_table_below_another_one_is_named_by_its_place(tmp_path, save_image):
    save_image(tmp_path / "a.png")
    save_image(tmp_path / "s" / "b.png")
    write(tmp_path, t_csv=TABLE.format("a"))
    write(tmp_path / "s", t_csv=TABLE.format("b"))

    [problem] = open_source(tmp_path).problems

    assert "boxes (t.csv), and boxes (s/t.csv) is not read: what it marks on 1 image is lost (b.png)" in problem.what
    assert problem.fix == "give each table itself"


def test_files_that_hold_no_labels_are_not_named(tmp_path, save_image):
    save_image(tmp_path / "a.png")
    write(tmp_path, a_json=labelme("a"), notes_txt="1 of 2", shifts_csv="day,parts\n1,7\n", p_xml="<project/>")

    source = open_source(tmp_path)

    assert (source.problems, source.warnings, source.unread) == ((), (), ())


def test_a_broken_file_beside_another_format_is_a_problem(tmp_path, save_image):
    save_image(tmp_path / "a.png")
    write(tmp_path, a_json=labelme("a"), b_xml="<annotation>")

    [problem] = open_source(tmp_path).problems

    assert problem.where == str(tmp_path / "b.xml")
