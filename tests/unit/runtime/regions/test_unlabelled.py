"""Images that no label file is about are counted, and the first is named, whatever the format."""

from __future__ import annotations

import json

import pytest

from mvrec_edge.runtime.regions import open_source

BOX = (10, 5, 19, 14)
LABELS = {
    "labelme": ("a.json", json.dumps({"shapes": [], "imagePath": "a.png"})),
    "voc": ("a.xml", "<annotation><filename>a.png</filename></annotation>"),
    "coco": (
        "c.json",
        json.dumps({"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": []}),
    ),
    "boxes": ("t.csv", "image,x1,y1,x2,y2,label\na.png,1,1,9,9,dent\n"),
}


@pytest.fixture(params=LABELS.values(), ids=LABELS)
def folder(request, tmp_path, save_image):
    name, text = request.param
    save_image(tmp_path / "a.png")
    (tmp_path / name).write_text(text)
    return tmp_path


def test_images_without_annotation_are_warned_of(folder, save_image):
    for name in ("z.png", "s/b.png", "c.jpg"):
        save_image(folder / name)

    source = open_source(folder)
    [warning] = source.warnings

    assert warning.what == "3 images have no annotation and are not looked at"
    assert warning.where == str(folder / "c.jpg")
    assert source.problems == ()


def test_with_empty_error_they_are_a_problem(folder, save_image):
    save_image(folder / "b.png")

    [problem] = open_source(folder, empty="error").problems

    assert problem.what == "1 image has no annotation and is not looked at"
    assert problem.where == str(folder / "b.png")


def test_masks_are_no_such_images(folder, save_image, save_mask):
    save_image(folder / "dent" / "b.jpg")
    save_mask(folder / "dent" / "b.png", BOX)
    save_mask(folder / "SegmentationClass" / "a.png", BOX)
    save_image(folder / "images" / "k.jpg")
    save_mask(folder / "masks" / "k.png", BOX)
    save_mask(folder / "masks" / "alone.png", BOX)

    [warning] = [each for each in open_source(folder).warnings if "looked at" in each.what]

    assert warning.what == "2 images have no annotation and are not looked at"
    assert warning.where == str(folder / "dent" / "b.jpg")


def test_a_folder_with_all_images_annotated_is_silent(folder):
    assert open_source(folder).warnings == ()


def test_a_broken_label_file_says_enough_of_its_image(tmp_path, save_image):
    for name in "ab":
        save_image(tmp_path / f"{name}.png")
    (tmp_path / "a.json").write_text(LABELS["labelme"][1])
    (tmp_path / "b.json").write_text("{")

    source = open_source(tmp_path)

    assert [problem.where for problem in source.problems] == [str(tmp_path / "b.json")]
    assert source.warnings == ()
