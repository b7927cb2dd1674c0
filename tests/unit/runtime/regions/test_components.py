"""From a mask to regions: connection, order, specks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions import DEFAULT_MIN_AREA, regions_of_mask


def test_order_is_from_top_to_bottom_then_left_to_right():
    mask = np.zeros((50, 80), np.uint8)
    mask[20:30, 5:15] = 255
    mask[2:10, 60:70] = 255
    mask[2:10, 30:40] = 255

    regions = regions_of_mask(mask, label="pit", source="m.png")

    assert [region.box for region in regions] == [(30, 2, 39, 9), (60, 2, 69, 9), (5, 20, 14, 29)]
    assert [region.source for region in regions] == ["m.png#0", "m.png#1", "m.png#2"]
    assert {region.label for region in regions} == {"pit"}
    assert {region.image_size for region in regions} == {(50, 80)}


def test_pixels_that_touch_at_a_corner_are_connected():
    assert len(regions_of_mask(np.eye(20, dtype=np.uint8))) == 1


def test_a_region_within_a_ring_is_not_filled_by_the_ring():
    mask = np.ones((30, 30), np.bool_)
    mask[3:27, 3:27] = False
    mask[10:20, 10:20] = True

    ring, core = regions_of_mask(mask)

    assert (ring.area, core.area) == (900 - 24 * 24, 100)
    assert core.box == (10, 10, 19, 19)


def test_specks_are_ignored():
    mask = np.zeros((50, 80), np.uint8)
    mask[0, :15] = 255
    mask[10:14, 10:14] = 255

    assert DEFAULT_MIN_AREA == 16
    assert [region.box for region in regions_of_mask(mask)] == [(10, 10, 13, 13)]
    assert len(regions_of_mask(mask, min_area=1)) == 2
    with pytest.raises(AnnotationError, match="all 2 parts of the mask are smaller than 17 pixels, the largest has 16"):
        regions_of_mask(mask, min_area=17)
    mask[0, :15] = 0
    with pytest.raises(AnnotationError, match=r"the only part of the mask has 16 pixels, fewer than 17 \(if it is a"):
        regions_of_mask(mask, min_area=17)


def test_an_empty_mask_has_no_region():
    assert regions_of_mask(np.zeros((5, 5), np.uint8), source="m.png") == []


def test_noise_is_not_taken_for_a_mask():
    mask = np.zeros((240, 240), np.uint8)
    mask[::2, ::2] = 255

    with pytest.raises(AnnotationError, match="14400 parts, more than 10000"):
        regions_of_mask(mask, min_area=1)


@settings(deadline=None, max_examples=50)
@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 25), st.integers(1, 25))))
def test_the_regions_are_the_mask_again(mask):
    if not mask.any():
        return
    regions = regions_of_mask(mask, min_area=1)

    together = np.sum([region.mask.astype(int) for region in regions], axis=0)

    np.testing.assert_array_equal(together, np.where(mask, 255, 0))
    firsts = [int(np.flatnonzero(region.mask)[0]) for region in regions]
    assert firsts == sorted(firsts)
