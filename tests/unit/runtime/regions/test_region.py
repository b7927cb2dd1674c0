"""A region: its mask, its box, and the windows cut out of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.regions.region import MAX_POINTS

SIZE = (40, 60)
SQUARE = [[10, 5], [20, 5], [20, 15], [10, 15]]


def test_a_region_keeps_the_patch_and_gives_the_whole_mask():
    mask = np.zeros(SIZE, np.uint8)
    mask[5:16, 10:21] = 7

    region = Region(mask, label="dent", source="a.png#0")

    assert (region.box, region.origin, region.image_size) == ((10, 5, 20, 15), (10, 5), SIZE)
    assert (region.area, region.label, region.source) == (121, "dent", "a.png#0")
    np.testing.assert_array_equal(region.mask, np.where(mask, 255, 0))
    assert region.patch.shape == (11, 11)
    with pytest.raises(ValueError, match="read-only"):
        region.patch[0, 0] = 0


def test_a_region_does_not_follow_the_array_it_was_made_from():
    mask = np.full(SIZE, True)
    region = Region(mask)
    mask[:] = False

    assert region.area == 40 * 60


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (np.zeros(SIZE, np.uint8), "empty"),
        (np.zeros((0, 5), np.uint8), "empty"),
        (np.ones((4, 4, 3), np.uint8), "must be uint8 or bool"),
        (np.ones(SIZE, np.float32), "must be uint8 or bool"),
    ],
)
def test_what_is_no_mask_is_refused(mask, expected):
    with pytest.raises(AnnotationError, match=expected):
        Region(mask, source="a.png")


def test_a_box_of_its_own_may_reach_over_the_edge():
    region = Region.from_polygon(SQUARE, SIZE, box=(-5, 0, 80, 15))

    assert region.box == (-5, 0, 80, 15)
    assert region.area == 121


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((20, 5, 10, 15), "turned round"),
        ((60, 5, 70, 15), "outside the image of 60 x 40"),
        ((-9, -9, -1, -1), "outside"),
        ((0, 0, float("nan"), 5), "four numbers"),
        ((0, 0, float("inf"), 5), "four numbers"),
        ((0, 0, 5), "four numbers"),
        (("a", 0, 5, 5), "four numbers"),
        ((0, 0, 10**12, 5), "usable number"),
    ],
)
def test_bad_boxes_are_refused(box, expected):
    with pytest.raises(AnnotationError, match=expected):
        Region.from_box(box, SIZE)
    with pytest.raises(AnnotationError, match=expected):
        Region.from_polygon(SQUARE, SIZE, box=box)


def test_a_box_over_the_edge_is_filled_inside_only():
    region = Region.from_box((50, 30, 99, 99), SIZE)

    assert region.area == 10 * 10
    assert region.box == (50, 30, 99, 99)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([[1, 2], [3, 4]], "at least 3 points, this one has 2"),
        ([], "at least 3 points, this one has 0"),
        ([[1, 2], [3, 4], [5, float("nan")]], "usable number"),
        ([[1, 2], [3, 4], [5, float("inf")]], "usable number"),
        ([[1, 2], [3, 4], [5, 1e7]], "usable number"),
        ([[1, 2], [3, 4], [5, 10**400]], "pairs of numbers"),
        ([[1, 2], [3, 4], [5]], "pairs of numbers"),
        ([[[1, 2], [3, 4], [5, 5]], [[1, 2], [3]]], "pairs of numbers"),
        ([[1, 2, 3], [3, 4, 3], [5, 5, 3]], "pairs of numbers"),
        ([1, 2, 3, 4, 5, 6], "pairs of numbers"),
        ("__import__('os')", "pairs of numbers"),
        ({"x": 1}, "pairs of numbers"),
        (None, "pairs of numbers"),
        ([["a", "b"], ["c", "d"], ["e", "f"]], "pairs of numbers"),
        ([[100, 100], [110, 100], [110, 110]], "outside the image"),
        ([[-10, -10], [-1, -10], [-1, -1]], "outside the image"),
    ],
)
def test_bad_polygons_are_refused(points, expected):
    with pytest.raises(AnnotationError, match=expected) as caught:
        Region.from_polygon(points, SIZE, source="a.json#4")
    assert caught.value.where == "a.json#4"
    assert caught.value.fix


def test_too_many_points_are_refused_before_they_are_copied():
    with pytest.raises(AnnotationError, match=f"more than {MAX_POINTS} points"):
        Region.from_polygon([[0, 0]] * (MAX_POINTS + 1), SIZE)


def test_several_polygons_are_one_region():
    other = [[40, 20], [45, 20], [45, 25], [40, 25]]

    region = Region.from_polygon([SQUARE, other], SIZE)

    assert region.area == 121 + 36
    assert region.box == (10, 5, 45, 25)


def test_coordinates_are_cut_to_whole_pixels():
    assert Region.from_polygon([[x + 0.9, y + 0.9] for x, y in SQUARE], SIZE).box == (10, 5, 20, 15)


def test_a_patch_over_the_edge_is_refused():
    with pytest.raises(AnnotationError, match="reaches over"):
        Region.from_patch(np.ones((5, 5), np.bool_), (58, 0), SIZE)


corner = st.tuples(st.integers(-30, 90), st.integers(-30, 70))


@settings(deadline=None, max_examples=50)
@given(st.lists(corner, min_size=3, max_size=8))
def test_a_polygon_is_filled_as_on_the_whole_image(points):
    whole = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(whole, [np.array(points, np.int32)], (255,))
    if whole.any():
        np.testing.assert_array_equal(Region.from_polygon(points, SIZE).mask, whole)
    else:
        with pytest.raises(AnnotationError):
            Region.from_polygon(points, SIZE)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 59), st.integers(0, 39), st.integers(0, 59), st.integers(0, 39))
def test_mask_polygon_and_box_of_a_rectangle_are_one(x1, y1, x2, y2):
    x1, x2, y1, y2 = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
    mask = np.zeros(SIZE, np.uint8)
    mask[y1 : y2 + 1, x1 : x2 + 1] = 255

    regions = [
        Region(mask),
        Region.from_box((x1, y1, x2, y2), SIZE),
        Region.from_polygon([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], SIZE),
        Region.from_patch(mask[y1 : y2 + 1, x1 : x2 + 1], (x1, y1), SIZE),
    ]

    for region in regions:
        assert region.box == (x1, y1, x2, y2)
        assert region.origin == (x1, y1)
        np.testing.assert_array_equal(region.mask, mask)


@settings(deadline=None, max_examples=50)
@given(st.lists(corner, min_size=3, max_size=6), corner, st.integers(0, 90), st.integers(0, 90))
def test_a_window_is_a_slice_of_the_padded_mask(points, start, width, height):
    try:
        region = Region.from_polygon(points, SIZE)
    except AnnotationError:
        return
    pad = 200
    padded = np.pad(region.mask, pad)
    x, y = start

    window = region.mask_window(x, y, x + width, y + height)

    np.testing.assert_array_equal(window, padded[y + pad : y + pad + height, x + pad : x + pad + width])
