"""One region by its name, for masks and label files alike."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.runtime import open_source, read_image
from mvrec_edge.runtime.regions.region_names import RegionName, name_regions, parse_region_name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images with two defects each, marked in every way."""
    image, mask = np.full((60, 80, 3), 90, np.uint8), np.zeros((60, 80), np.uint8)
    mask[5:15, 5:15] = mask[30:45, 50:70] = 255
    for name in ("a/part 1.jpg", "b/part#2.jpg"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), image)
        cv2.imwrite(str(path.with_name(f"{path.stem}_mask.png")), mask)
        apart = tmp_path / "masks" / Path(name).with_suffix(".png")
        apart.parent.mkdir(parents=True)
        cv2.imwrite(str(apart), mask)
    rows = [f"images/{name},{x},5,{x + 9},14,dent" for name in ("a/part 1.jpg", "b/part#2.jpg") for x in (5, 40)]
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2,label\n" + "\n".join(rows) + "\n")
    shapes = [{"label": "dent", "shape_type": "rectangle", "points": [[x, 5], [x + 9, 14]]} for x in (5, 40)]
    (tmp_path / "labelme").mkdir()
    for name in ("a/part 1.jpg", "b/part#2.jpg"):
        file = tmp_path / "labelme" / Path(name).with_suffix(".json")
        file.parent.mkdir()
        file.write_text(json.dumps({"imagePath": f"../../images/{name}", "shapes": shapes}))
    return tmp_path


@pytest.mark.parametrize(
    ("place", "masks", "wanted"),
    [
        (
            "images",
            None,
            ["images/a/part 1.jpg#0", "images/a/part 1.jpg#1", "images/b/part#2.jpg#0", "images/b/part#2.jpg#1"],
        ),
        ("images/b/part#2.jpg", None, ["images/b/part#2.jpg#0", "images/b/part#2.jpg#1"]),
        ("boxes.csv", None, ["boxes.csv#0", "boxes.csv#1", "boxes.csv#2", "boxes.csv#3"]),
        ("labelme/a", None, ["labelme/a/part 1.json#0", "labelme/a/part 1.json#1"]),
        (
            "labelme",
            None,
            [
                "labelme/a/part 1.json#0",
                "labelme/a/part 1.json#1",
                "labelme/b/part#2.json#0",
                "labelme/b/part#2.json#1",
            ],
        ),
    ],
)
def test_every_region_has_a_name_that_is_read_again(
    folder: Path, place: str, masks: str | None, wanted: list[str]
) -> None:
    source = open_source(folder / place, masks=masks)
    names = []
    for image in source:
        regions = image.regions(read_image(image.path).shape).regions
        for region, name in zip(regions, name_regions(source, image, regions), strict=True):
            assert name is not None
            assert name.is_of(region)
            assert parse_region_name(Path(str(name))) == RegionName(name.place, name.number)
            names.append(str(name))
    assert names == [str(folder / name) for name in wanted]


def test_masks_of_another_folder_are_named_as_well(folder: Path) -> None:
    source = open_source(folder / "images", masks=folder / "masks")
    image = source.images[1]
    names = name_regions(source, image, image.regions(read_image(image.path).shape).regions)
    assert names[1] == RegionName(folder / "images/b/part#2.jpg", 1, folder / "masks/b/part#2.png")


def test_what_is_there_is_no_name(folder: Path) -> None:
    (folder / "part.jpg#2").mkdir()
    (folder / "part.jpg").touch()
    (folder / "odd.csv#1").touch()
    (folder / "odd.csv").touch()
    for text in ("part.jpg#2", "odd.csv#1", "part.jpg", "none.jpg#1", "part.jpg#", "part.jpg#-1", "part.jpg#x", "#3"):
        assert parse_region_name(folder / text) is None
    assert parse_region_name(folder / "part.jpg#3") == RegionName(folder / "part.jpg", 3)


def test_a_region_from_elsewhere_has_no_name(folder: Path) -> None:
    source = open_source(folder / "boxes.csv")
    other = open_source(folder / "images").images[0]
    region = other.regions((60, 80)).regions[0]
    assert name_regions(source, source.images[0], [region]) == [None]
