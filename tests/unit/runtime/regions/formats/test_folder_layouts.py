"""Folders as people keep them: masks beside, cut-out defects, names in two forms, parts without a defect."""

from __future__ import annotations

import unicodedata

import pytest

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.regions import open_source

SIZE = (40, 60)
BOX = (10, 5, 19, 14)


def read(source):
    """Class and source of each region of a source."""
    return [
        (region.label, region.source) for item in source for region in item.regions(SIZE).regions if region is not None
    ]


def test_masks_in_a_folder_beside_the_images(tmp_path, save_image, save_mask):
    save_image(tmp_path / "images" / "dent" / "a.png")
    save_mask(tmp_path / "masks" / "dent" / "a_mask.png", BOX)
    save_image(tmp_path / "images" / "b.jpg")
    save_mask(tmp_path / "masks" / "b.png", BOX)

    source = open_source(tmp_path)

    assert read(source) == [(None, "masks/b.png#0"), ("dent", "masks/dent/a_mask.png#0")]
    assert [item.id for item in source] == ["images/b.jpg", "images/dent/a.png"]
    assert (source.problems, source.describe()) == ((), "read as images with masks: 2 images, 1 label")


@pytest.mark.parametrize(("images", "masks"), [("Images", "Masks"), ("imgs", "mask"), ("image", "ground_truth")])
def test_each_class_may_have_both_folders(tmp_path, save_image, save_mask, images, masks):
    for label in ("dent", "pit"):
        save_image(tmp_path / label / images / "a.jpg")
        save_mask(tmp_path / label / masks / "a.bmp", BOX)

    assert read(open_source(tmp_path)) == [
        ("dent", f"dent/{masks}/a.bmp#0"),
        ("pit", f"pit/{masks}/a.bmp#0"),
    ]


def test_an_image_of_such_a_folder_alone(tmp_path, save_image, save_mask):
    image = save_image(tmp_path / "images" / "a.jpg")
    save_mask(tmp_path / "masks" / "a.png", BOX)

    assert read(open_source(image)) == [(None, "a.png#0")]


def test_the_folder_of_the_images_alone_is_told_where_the_masks_are(tmp_path, save_image, save_mask):
    save_image(tmp_path / "images" / "a.jpg")
    save_mask(tmp_path / "masks" / "a.png", BOX)

    with pytest.raises(InputError, match=rf"give --masks {tmp_path}/masks, or the folder above"):
        open_source(tmp_path / "images")


def test_an_image_without_a_mask_among_others_is_a_problem_there_too(tmp_path, save_image, save_mask):
    save_image(tmp_path / "images" / "a.jpg")
    save_image(tmp_path / "images" / "b.jpg")
    save_mask(tmp_path / "masks" / "a.png", BOX)
    save_mask(tmp_path / "masks" / "a.bmp", BOX)
    save_mask(tmp_path / "masks" / "b_mask.png", BOX)

    source = open_source(tmp_path)

    assert [item.id for item in source] == ["images/b.jpg"]
    assert ["several masks" in problem.what for problem in source.problems] == [True]


def test_a_mask_without_an_image_and_one_of_two_images_are_problems(tmp_path, save_image, save_mask):
    for name in ("a.jpg", "b.jpg", "b.png", "c.jpg", "C.jpg"):
        save_image(tmp_path / "images" / name)
    for name in ("a.png", "b.png", "c_mask.png", "lost.png"):
        save_mask(tmp_path / "masks" / name, BOX)

    source = open_source(tmp_path)

    assert [item.id for item in source] == ["images/a.jpg", "images/c.jpg"]
    said = {str(problem.where).rsplit("/", 1)[1]: problem.what for problem in source.problems}
    assert set(said) == {"b.jpg", "b.png", "C.jpg", "lost.png"}
    assert said["b.jpg"] == "the mask b.png is that of several images: b.jpg, b.png"
    assert "no image" in said["lost.png"]


def test_a_folder_called_images_is_a_class_where_no_masks_lie_beside_it(tmp_path, save_image, save_mask):
    save_image(tmp_path / "images" / "a.jpg")
    save_mask(tmp_path / "images" / "a.png", BOX)

    assert read(open_source(tmp_path)) == [("images", "images/a.png#0")]


def test_names_in_two_forms_are_one_class_and_find_their_masks(tmp_path, save_image, save_mask):
    composed, decomposed = (unicodedata.normalize(form, "Oberfl\u00e4che") for form in ("NFC", "NFD"))
    save_image(tmp_path / "in" / composed / f"{composed}.jpg")
    save_mask(tmp_path / "in" / composed / f"{decomposed}_mask.png", BOX)
    save_image(tmp_path / "in" / decomposed / "b.jpg")
    save_mask(tmp_path / "in" / decomposed / "b.png", BOX)

    assert [label for label, _ in read(open_source(tmp_path / "in"))] == [composed, composed]

    save_mask(tmp_path / "masks" / decomposed / f"{composed}.png", BOX)
    source = open_source(tmp_path / "in" / composed / f"{composed}.jpg", masks=tmp_path / "masks" / decomposed)
    assert len(read(source)) == 1


def test_a_mask_is_found_whatever_the_case_where_one_alone_is_meant(tmp_path, save_image, save_mask):
    save_image(tmp_path / "PART1.JPG")
    save_mask(tmp_path / "part1_MASK.png", BOX)
    save_image(tmp_path / "a.jpg")
    save_mask(tmp_path / "a.png", BOX)
    save_image(tmp_path / "A.jpg")

    source = open_source(tmp_path)

    assert [item.id for item in source] == ["PART1.JPG", "a.jpg"]
    assert [problem.where for problem in source.problems] == [str(tmp_path / "A.jpg")]

    tree = open_source(tmp_path / "PART1.JPG", masks=tmp_path)
    assert read(tree) == [(None, "part1_MASK.png#0")]


def test_cut_out_defects_need_no_masks(tmp_path, save_image):
    save_image(tmp_path / "dent" / "a.png")
    save_image(tmp_path / "dent" / "b.jpg")
    save_image(tmp_path / "pit" / "c.png")
    (tmp_path / "notes.json").write_text("{")

    source = open_source(tmp_path, whole_images=True)

    assert read(source) == [("dent", "dent/a.png#0"), ("dent", "dent/b.jpg#0"), ("pit", "pit/c.png#0")]
    regions = [region for item in source for region in item.regions(SIZE).regions]
    assert {(region.box, region.area, region.kind) for region in regions} == {((0, 0, 59, 39), 2400, "full")}
    assert source.images[0].regions(SIZE).warnings == ()
    assert source.problems == ()
    assert [warning.where for warning in source.warnings] == [str(tmp_path / "notes.json")]
    assert source.describe() == "read as cut-out defects, each image one region: 3 images, 3 regions, 2 labels"
    assert read(open_source(tmp_path / "dent" / "a.png", whole_images=True)) == [(None, "a.png#0")]


def test_where_some_images_have_masks_the_others_need_them_too(tmp_path, save_image, save_mask):
    save_image(tmp_path / "dent" / "a.jpg")
    save_mask(tmp_path / "dent" / "a.png", BOX)
    save_image(tmp_path / "dent" / "b.jpg")

    source = open_source(tmp_path, whole_images=True)

    assert read(source) == [("dent", "dent/a.png#0")]
    assert ["no mask" in problem.what for problem in source.problems] == [True]


def test_an_empty_mask_is_a_part_without_a_defect(tmp_path, save_image, save_mask):
    save_image(tmp_path / "good.jpg")
    save_mask(tmp_path / "good.png")

    (item,) = open_source(tmp_path)
    assert item.regions(SIZE).shows_no_defect

    (item,) = open_source(tmp_path, empty="error")
    reading = item.regions(SIZE)
    assert not reading.shows_no_defect
    assert [problem.what for problem in reading.problems] == ["the image shows no defect"]


@pytest.mark.parametrize(("box", "warned"), [((0, 0, 59, 36), True), ((0, 0, 59, 34), False)])
def test_a_mask_over_nearly_all_of_the_image_is_warned_of(tmp_path, save_image, save_mask, box, warned):
    save_image(tmp_path / "a.jpg")
    save_mask(tmp_path / "a.png", box)
    (item,) = open_source(tmp_path)

    reading = item.regions(SIZE)

    assert (len(reading.regions), reading.problems) == (1, ())
    assert ["the mask covers 92% of the image" in str(warning) for warning in reading.warnings] == [True] * warned


@pytest.mark.parametrize("given", ["", "test"])
def test_the_layout_of_mvtec_ad_is_named_with_the_way_to_read_it(tmp_path, save_image, save_mask, given):
    images, masks = tmp_path / "test", tmp_path / "ground_truth"
    save_image(images / "crack" / "000.png")
    save_mask(masks / "crack" / "000_mask.png", BOX)

    with pytest.raises(InputError) as caught:
        open_source(tmp_path / given)

    assert caught.value.fix.startswith(f"this is the layout of MVTec AD: give {images} with --masks {masks}")
    assert read(open_source(images, masks=masks)) == [("crack", "crack/000_mask.png#0")]
