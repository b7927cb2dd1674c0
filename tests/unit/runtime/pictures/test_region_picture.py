"""Pictures of regions: what they show, how large they are, and which are kept."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.runtime import Region, ViewPlan
from mvrec_edge.runtime.pictures.overlay import class_colour
from mvrec_edge.runtime.pictures.region_picture import PICTURE_SIDE, TILE_SIDE, PictureStore, region_picture, view_sheet


def decoded(picture: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


@pytest.mark.parametrize(
    ("size", "box", "shape"),
    [
        ((480, 640), (300, 200, 320, 230), (256, 256)),  # a speck in the middle
        ((480, 640), (0, 0, 3, 3), (256, 256)),  # in a corner
        ((480, 640), (639, 479, 639, 479), (256, 256)),  # one pixel in the last corner
        ((480, 640), (0, 0, 639, 479), (192, 256)),  # the whole image
        ((20, 400), (10, 5, 390, 15), (13, 256)),  # a stripe
        ((3, 3), (1, 1, 1, 1), (256, 256)),
        ((1, 2000), (0, 0, 1999, 0), (1, 256)),
        ((480, 640), (-50, -50, 20, 20), (256, 256)),  # a box that reaches over the edge
    ],
)
def test_a_picture_holds_the_region(
    size: tuple[int, int], box: tuple[int, int, int, int], shape: tuple[int, int]
) -> None:
    picture = region_picture(grey(*size), Region.from_box(box, size), "pit", ["pit", "dent"])
    assert decoded(picture).shape[:2] == shape
    assert max(shape) == PICTURE_SIDE


def test_the_outline_has_the_colour_of_the_class_and_is_around_the_defect() -> None:
    region = Region.from_box((90, 90, 109, 109), (200, 200))
    for label in ("pit", "dent"):
        pixels = decoded(region_picture(grey(200, 200), region, label, ["pit", "dent"])).astype(int)
        coloured = np.abs(pixels - class_colour(label, ["pit", "dent"])).sum(axis=2) < 90
        assert coloured.sum() > 200
        middle = pixels[118:138, 118:138]
        assert np.abs(middle - 128).max() < 12


def test_a_thin_scratch_on_a_large_image_keeps_its_outline() -> None:
    mask = np.zeros((3000, 4000), np.uint8)
    mask[1500, 100:3900] = 255
    pixels = decoded(region_picture(grey(3000, 4000), Region(mask), "pit", ["pit"])).astype(int)
    assert (np.abs(pixels - class_colour("pit", ["pit"])).sum(axis=2) < 120).sum() > 100


@pytest.mark.parametrize(
    ("name", "shape"), [("mso", (3, 9)), ("ms", (1, 3)), ("none", (1, 1)), ("mor", (4, 9)), ("msr", (2, 9))]
)
def test_a_sheet_holds_every_view(name: str, shape: tuple[int, int]) -> None:
    region = Region.from_box((90, 90, 109, 109), (200, 200))
    sheet = decoded(view_sheet(grey(200, 200), region, ViewPlan.by_name(name, size=224)))
    assert sheet.shape[:2] == (shape[0] * TILE_SIDE, shape[1] * TILE_SIDE)
    middle = sheet[TILE_SIDE // 2, TILE_SIDE // 2]
    assert np.abs(middle.astype(int) - 128).max() < 12


def test_the_store_keeps_the_most_doubtful() -> None:
    store = PictureStore(30)
    for index, margin in enumerate([0.9, 0.1, 0.5, 0.3, 0.2]):
        store.put(index, margin, bytes([index]) * 10)
    assert [index for index, _ in store.items()] == [1, 3, 4]
    assert store.refused == 2
    assert not store.wants(0.4)
    assert store.wants(0.25)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 40)), max_size=60), st.integers(1, 200))
def test_the_store_never_holds_more_than_its_limit(items: list[tuple[float, int]], limit: int) -> None:
    store = PictureStore(limit)
    for index, (margin, size) in enumerate(items):
        store.put(index, margin, bytes(size))
        assert sum(len(picture) for _, picture in store.items()) <= limit
    assert len(store) + store.refused == len(items)
