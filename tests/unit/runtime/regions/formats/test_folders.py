"""Folders of images with masks."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mvrec_edge.runtime.errors import ImageError, InputError
from mvrec_edge.runtime.images import read_image
from mvrec_edge.runtime.regions import open_source

SIZE = (40, 60)
BOX = (10, 5, 19, 14)


def masks_by_image(source):
    return {item.id: item.annotations[0].source for item in source}


def test_a_folder_for_each_class(tmp_path, save_image, save_mask):
    for name in ("MT_Crack/Imgs/b", "MT_Crack/Imgs/a", "MT_Break/deep/er/a"):
        save_image(tmp_path / f"{name}.jpg")
        save_mask(tmp_path / f"{name}.png", BOX, (30, 20, 39, 29))

    source = open_source(tmp_path)

    assert (source.format, len(source), source.problems) == ("folders", 3, ())
    assert [item.id for item in source] == ["MT_Break/deep/er/a.jpg", "MT_Crack/Imgs/a.jpg", "MT_Crack/Imgs/b.jpg"]
    assert [item.annotations[0].label for item in source] == ["MT_Break", "MT_Crack", "MT_Crack"]
    regions = source.images[1].regions(read_image(source.images[1].path).shape).regions
    assert [region.box for region in regions] == [BOX, (30, 20, 39, 29)]
    assert [region.source for region in regions] == ["MT_Crack/Imgs/a.png#0", "MT_Crack/Imgs/a.png#1"]


def test_every_way_to_name_a_mask(tmp_path, save_image, save_mask):
    pairs = {
        "a.png": "a_mask.png",
        "b.png": "b.mask.png",
        "c.jpg": "c.png",
        "d.bmp": "d.png",
        "e.jpg": "e_mask.bmp",
        "f.JPG": "f.PNG",
        "g.jpeg": "g.bmp",
        "h.tif": "h.png",
    }
    for image, mask in pairs.items():
        save_image(tmp_path / image)
        save_mask(tmp_path / mask, BOX)

    source = open_source(tmp_path)

    assert source.problems == ()
    assert masks_by_image(source) == pairs
    assert {item.annotations[0].label for item in source} == {None}


def test_an_image_named_like_a_mask_of_nothing_is_a_problem(tmp_path, save_image, save_mask):
    save_image(tmp_path / "a.png")
    save_mask(tmp_path / "a_mask.png", BOX)
    save_mask(tmp_path / "lost_mask.png", BOX)

    source = open_source(tmp_path)

    assert masks_by_image(source) == {"a.png": "a_mask.png"}
    assert [problem.what for problem in source.problems] == ["the mask has no image beside it"]


def test_an_image_without_a_mask_costs_only_itself(tmp_path, save_image, save_mask):
    save_image(tmp_path / "x" / "a.jpg")
    save_image(tmp_path / "x" / "b.jpg")
    save_mask(tmp_path / "x" / "b.png", BOX)

    source = open_source(tmp_path)

    assert [item.id for item in source] == ["x/b.jpg"]
    assert [problem.where for problem in source.problems] == [str(tmp_path / "x" / "a.jpg")]
    assert "no mask" in source.problems[0].what


@pytest.mark.parametrize(
    "names",
    [("a.bmp", "a.tif"), ("a.jpg", "a.jpeg"), ("a.jpg", "a.png", "a.bmp"), ("a.jpg", "a_mask.png", "a.mask.png")],
)
def test_what_is_ambiguous_is_a_problem(tmp_path, save_image, save_mask, names):
    for name in names:
        save_mask(tmp_path / name, BOX)
    save_image(tmp_path / "z.jpg")
    save_mask(tmp_path / "z.png", BOX)

    source = open_source(tmp_path)

    assert [item.id for item in source] == ["z.jpg"]
    assert ["not clear" in problem.what for problem in source.problems] == [True]


def test_a_tree_of_masks(tmp_path, save_image, save_mask):
    save_image(tmp_path / "images" / "dent" / "a.png")
    save_image(tmp_path / "images" / "dent" / "b.jpg")
    save_image(tmp_path / "images" / "pit" / "c.jpg")
    save_image(tmp_path / "images" / "pit" / "d.jpg")
    save_mask(tmp_path / "masks" / "dent" / "a.png", BOX)
    save_mask(tmp_path / "masks" / "dent" / "b_mask.TIF", BOX)
    save_mask(tmp_path / "masks" / "pit" / "d.png", BOX)
    save_mask(tmp_path / "masks" / "pit" / "d.bmp", BOX)

    source = open_source(tmp_path / "images", masks=tmp_path / "masks")

    assert masks_by_image(source) == {"dent/a.png": "dent/a.png", "dent/b.jpg": "dent/b_mask.TIF"}
    assert [item.annotations[0].label for item in source] == ["dent", "dent"]
    assert ["has no mask" in problem.what for problem in source.problems] == [True, False]
    assert "several masks" in source.problems[1].what


def test_a_tree_of_masks_within_the_folder_of_images(tmp_path, save_image, save_mask):
    save_image(tmp_path / "a.png")
    save_mask(tmp_path / "masks" / "a.png", BOX)

    source = open_source(tmp_path, masks=tmp_path / "masks")

    assert [item.id for item in source] == ["a.png"]
    assert source.problems == ()


@pytest.mark.parametrize("where", ["beside", "file", "folder"])
def test_one_image(tmp_path, save_image, save_mask, where):
    image = save_image(tmp_path / "a.jpg")
    save_image(tmp_path / "other.jpg")
    mask = save_mask(tmp_path / ("a.png" if where == "beside" else "masks/a.png"), BOX)

    source = open_source(image, masks={"beside": None, "file": mask, "folder": mask.parent}[where])

    assert (source.format, [item.path for item in source]) == ("folders", [image])
    (region,) = source.images[0].regions(SIZE).regions
    assert (region.box, region.label, region.source) == (BOX, None, "a.png#0")


def test_one_image_without_a_mask_or_that_is_a_mask(tmp_path, save_image, save_mask):
    image = save_image(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="the image has no mask"):
        open_source(image)
    mask = save_mask(tmp_path / "a.png", BOX)
    with pytest.raises(InputError, match="no image with a mask"):
        open_source(mask)


def test_problems_of_masks_come_when_the_image_is_read(tmp_path, save_image, save_mask):
    for name in ("empty", "large", "text", "turned", "good", "specks"):
        save_image(tmp_path / f"{name}.jpg")
    save_mask(tmp_path / "empty.png")
    save_mask(tmp_path / "good.png", BOX)
    save_mask(tmp_path / "specks.png", (0, 0, 2, 2), (10, 10, 11, 11))
    save_mask(tmp_path / "large.png", BOX, size=(50, 60))
    save_mask(tmp_path / "turned.png", BOX, size=(60, 40))
    (tmp_path / "text.png").write_text("no image")

    readings = {item.path.stem: item.regions(SIZE) for item in open_source(tmp_path)}

    assert {name for name, reading in readings.items() if reading.regions} == {"good"}
    whats = {name: reading.problems[0].what for name, reading in readings.items() if reading.problems}
    assert "empty" not in whats
    assert whats["large"] == "the mask has 60 x 50 pixels, the image 60 x 40"
    assert "is not a JPEG" in whats["text"]
    assert "smaller than 16 pixels, the largest has 9" in whats["specks"]
    assert "EXIF" in str(readings["turned"].problems[0].fix)
    assert "EXIF" in str(readings["large"].problems[0].fix)


def test_the_smallest_area_can_be_chosen(tmp_path, save_image, save_mask):
    save_image(tmp_path / "a.jpg")
    save_mask(tmp_path / "a.png", BOX, (30, 20, 31, 21))
    (item,) = open_source(tmp_path)

    assert [len(item.regions(SIZE, area).regions) for area in (None, 1, 4, 5)] == [1, 2, 2, 1]


def test_opening_decodes_nothing(tmp_path):
    for name in ("a.jpg", "a.png"):
        (tmp_path / name).write_bytes(b"not an image")

    (item,) = open_source(tmp_path)

    with pytest.raises(ImageError):
        read_image(item.path)


def test_hidden_files_are_left_out(tmp_path, save_image, save_mask):
    save_image(tmp_path / "a.jpg")
    save_mask(tmp_path / "a.png", BOX)
    save_image(tmp_path / "._b.jpg")
    save_image(tmp_path / ".cache" / "c.jpg")

    source = open_source(tmp_path)

    assert (len(source), source.problems) == (1, ())


@pytest.mark.parametrize("suffix", [".tif", ".bmp", ".webp"])
def test_an_image_and_a_mask_that_are_exchanged_are_told(tmp_path, save_mask, suffix):
    few = np.full((*SIZE, 3), 90, np.uint8)
    few[5:9], few[20:30] = 120, 7
    Image.fromarray(few).save(tmp_path / "p.png")
    Image.fromarray(np.where(few[:, :, 0] > 100, 255, 0).astype(np.uint8)).save(tmp_path / f"p{suffix}", lossless=True)

    def problems():
        return [str(error) for error in open_source(tmp_path).images[0].regions(SIZE).problems]

    assert len(problems()) == 1
    assert f"p{suffix} has two values, as a mask has" in problems()[0]
    assert f"as p_mask{suffix}" in problems()[0]
    (tmp_path / f"p{suffix}").rename(tmp_path / f"p_mask{suffix}")
    assert problems() == []


def test_jpeg_files_of_all_endings_are_images(tmp_path, save_image, save_mask):
    for name in ("a.jfif", "b.JPE", "c.jpeg"):
        Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(tmp_path / name, "JPEG")
        save_mask((tmp_path / name).with_suffix(".png"), BOX)

    assert masks_by_image(open_source(tmp_path)) == {"a.jfif": "a.png", "b.JPE": "b.png", "c.jpeg": "c.png"}


@pytest.mark.parametrize("crops", [True, False])
def test_files_of_formats_that_are_not_read_are_named(tmp_path, save_image, save_mask, crops):
    save_image(tmp_path / "dent" / "a.jpg")
    if not crops:
        save_mask(tmp_path / "dent" / "a_mask.png", BOX)
    for name in ("dent/g.gif", "dent/j.JP2", "dent/a.cr2", "dent/notes.txt", "logo.svg"):
        (tmp_path / name).write_bytes(b"x")

    source = open_source(tmp_path, whole_images=crops)

    assert [item.id for item in source] == ["dent/a.jpg"]
    assert [(error.where, error.what) for error in source.problems] == [
        (str(tmp_path / "dent/g.gif"), "is a file of the image format .gif, which is not read"),
        (str(tmp_path / "dent/j.JP2"), "is a file of the image format .jp2, which is not read"),
    ]
    assert [warning.what for warning in source.warnings] == [
        "2 files of image formats that are not read: a.cr2, logo.svg"
    ]


DECOMPOSED, COMPOSED = "e\u0301", "\xe9"


@pytest.mark.parametrize("place", [".", "masks"])
def test_two_forms_of_one_name_are_two_images_with_their_own_masks(tmp_path, save_image, save_mask, place):
    for name in (DECOMPOSED, COMPOSED):
        save_image(tmp_path / "set" / f"{name}.jpg")
        save_mask(tmp_path / "set" / place / f"{name}.png", BOX)

    source = open_source(tmp_path / "set", masks=None if place == "." else tmp_path / "set" / place)

    assert source.problems == ()
    assert masks_by_image(source) == {f"{name}.jpg": f"{name}.png" for name in (DECOMPOSED, COMPOSED)}


def test_the_other_form_of_a_name_is_taken_where_there_is_no_other_and_each_image_left_is_a_problem(
    tmp_path, save_image, save_mask
):
    save_image(tmp_path / f"{DECOMPOSED}.jpg")
    save_mask(tmp_path / f"{COMPOSED}.png", BOX)
    for name in (f"a{DECOMPOSED}.jpg", f"a{COMPOSED}.jpg"):
        save_image(tmp_path / name)
    save_mask(tmp_path / "ae\u0301.bmp", BOX)
    for name in (f"b{DECOMPOSED}.jpg", f"b{COMPOSED}.jpg"):
        save_image(tmp_path / name)

    source = open_source(tmp_path)

    assert masks_by_image(source) == {f"{DECOMPOSED}.jpg": f"{COMPOSED}.png", f"a{DECOMPOSED}.jpg": "ae\u0301.bmp"}
    assert sorted(str(error.where) for error in source.problems) == sorted(
        str(tmp_path / name) for name in (f"a{COMPOSED}.jpg", f"b{DECOMPOSED}.jpg", f"b{COMPOSED}.jpg")
    )
