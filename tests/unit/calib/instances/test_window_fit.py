"""Whether windows fit: both shares counted pixel by pixel, and sizes suggested that fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib.instances.window_fit import (
    describe_window_fit,
    scaled_sizes,
    sizes_to_compare,
    suggested_sizes,
    window_fit,
)
from mvrec_edge.runtime import Region, ViewPlan

MSO = ViewPlan.mso()


def defect(side: int, image: int, *, place: tuple[int, int] | None = None) -> Region:
    """A square defect of a square image, in its middle where no place is given."""
    x, y = place or ((image - side) // 2, (image - side) // 2)
    return Region.from_box((x, y, x + side - 1, y + side - 1), (image, image))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(("none", "ms", "mo", "mso_bbox")),
    st.integers(20, 90),
    st.integers(20, 90),
    st.integers(0, 19),
    st.integers(0, 19),
)
def test_the_share_outside_is_that_of_the_pixels(name: str, height: int, width: int, x: int, y: int) -> None:
    plan = ViewPlan.by_name(name, window_sizes=None if name == "mso_bbox" else (16, 40, 70)[: 3 if name == "ms" else 1])
    region = Region.from_box((x, y, 19, 19), (height, width))
    field = np.pad(np.ones((height, width)), 200)
    seen = [field[y1 + 200 : y2 + 200, x1 + 200 : x2 + 200].mean() for x1, y1, x2, y2 in plan.windows(region.box)]
    assert window_fit([region], plan).outside == pytest.approx(1 - np.mean(seen))


def test_a_defect_as_large_as_the_largest_window_is_not_larger() -> None:
    regions = [defect(511, 2000), defect(512, 2000), defect(513, 2000), Region.from_box((0, 0, 1999, 3), (2000, 2000))]
    assert window_fit(regions, MSO).larger == 2
    assert window_fit(regions, ViewPlan.by_name("mso_bbox")).larger == 0


def test_nothing_is_said_of_no_regions_and_of_windows_that_fit() -> None:
    assert window_fit([], MSO).fits
    assert describe_window_fit([], MSO) == []
    fitting = [defect(100, 1024)] * 9
    assert describe_window_fit(fitting, MSO) == []
    assert suggested_sizes(fitting, MSO) is None
    assert describe_window_fit([defect(50, 60)], ViewPlan.by_name("mso_bbox")) == []


def test_small_images_are_told_of_smaller_windows() -> None:
    crops = [defect(12, 60)] * 5
    (line,) = describe_window_fit(crops, MSO)
    share = window_fit(crops, MSO).outside
    assert line.startswith(f"{share:.0%} of what the encoder sees lies outside the images (try --window-sizes ")
    sizes = suggested_sizes(crops, MSO)
    assert sizes == (32, 48, 64)
    assert "--window-sizes 32,48,64, and let 'evaluate' compare" in line
    assert describe_window_fit(crops, MSO.with_window_sizes(sizes)) == []


def test_large_defects_are_told_of_larger_windows() -> None:
    scans = [defect(2000, 5000)] * 7 + [defect(100, 5000)] * 18
    (line,) = describe_window_fit(scans, MSO)
    assert line == (
        "7 of 25 defects are larger than the largest window, 512 px (try --window-sizes 1024,1536,2048, and let "
        "'evaluate' compare)"
    )


def test_where_no_sizes_fit_the_box_is_named() -> None:
    filled = [defect(300, 300, place=(0, 0))] * 4
    lines = describe_window_fit(filled, MSO.with_window_sizes((64, 96, 128)))
    assert len(lines) == 1 or len(lines) == 2
    for line in lines:
        assert "try --" in line
    both = [defect(2000, 2001)] * 3 + [defect(10, 11)] * 3
    lines = describe_window_fit(both, MSO)
    assert any("3 of 6 defects are larger" in line for line in lines)
    assert all("--view-recipe mso_bbox" in line for line in lines)


@given(st.integers(8, 3000), st.integers(1, 3000))
@settings(max_examples=30, deadline=None)
def test_what_is_suggested_fits(image: int, side: int) -> None:
    regions = [defect(min(side, image), image)] * 3
    sizes = suggested_sizes(regions, MSO)
    if sizes is not None:
        assert window_fit(regions, MSO.with_window_sizes(sizes)).fits


def test_scaled_sizes_stay_distinct_and_within_reach() -> None:
    assert scaled_sizes(MSO, 0.5) == (128, 192, 256)
    assert scaled_sizes(MSO, 32) == (8192, 12288, 16384)
    assert scaled_sizes(MSO, 64) is None
    assert scaled_sizes(MSO, 1 / 32) is None
    assert scaled_sizes(MSO.with_window_sizes((100, 101)), 0.5) is None


@pytest.mark.parametrize(
    ("regions", "sizes"),
    [
        ([defect(100, 1024)], [(128, 192, 256), (512, 768, 1024)]),
        ([defect(12, 60)], [(128, 192, 256), (32, 48, 64)]),
        ([defect(2000, 5000)], [(512, 768, 1024), (1024, 1536, 2048)]),
    ],
)
def test_what_is_compared_follows_the_images(regions: list[Region], sizes: list[tuple[int, ...]]) -> None:
    assert sizes_to_compare(regions, MSO) == sizes
    assert sizes_to_compare(regions, ViewPlan.by_name("mso_bbox")) == []


def test_many_regions_are_looked_at_evenly() -> None:
    many = [defect(12, 60)] * 3000 + [defect(600, 2000)] * 3000
    fit = window_fit(many, MSO)
    assert (fit.regions, fit.larger) == (2000, 1000)
