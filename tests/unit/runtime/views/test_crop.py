"""Cropping: shapes, borders, and what must not change a view."""

from __future__ import annotations

import functools
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime import Region, ViewPlan, crop_views, threads
from mvrec_edge.runtime.errors import AnnotationError, ImageError, UsageError
from mvrec_edge.runtime.views import resample as resample_module
from mvrec_edge.runtime.views.plan import RECIPES


def picture(height: int = 90, width: int = 120, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def region(height: int = 90, width: int = 120) -> Region:
    mask = np.zeros((height, width), np.uint8)
    mask[30:55, 40:80] = 1
    mask[30:40, 40:50] = 0
    return Region(mask)


@functools.cache
def views_of(plan: ViewPlan) -> npt.NDArray[np.uint8]:
    """The views of the picture's region; they are compared with and not changed."""
    return crop_views(picture(), region(), plan)


@pytest.mark.parametrize("resample", ["exact", "fast"])
@pytest.mark.parametrize("name", RECIPES)
def test_shape_and_dtype(name: str, resample: str) -> None:
    plan = ViewPlan.by_name(name, size=32, resample=resample)
    views = crop_views(picture(), region(), plan)
    assert views.dtype == np.uint8
    assert views.shape == (plan.count, 32, 32, 4)
    assert views[..., 3].max() == 255


def test_out_is_filled_and_checked() -> None:
    plan = ViewPlan.by_name("ms", size=32)
    out = np.zeros((3, 32, 32, 4), np.uint8)
    assert crop_views(picture(), region(), plan, out=out) is out
    np.testing.assert_array_equal(out, crop_views(picture(), region(), plan))
    for wrong in (np.zeros((2, 32, 32, 4), np.uint8), np.zeros((3, 32, 32, 4), np.float32)):
        with pytest.raises(UsageError, match="out must be"):
            crop_views(picture(), region(), plan, out=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("resample", ["exact", "fast"])
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_a_black_border_changes_nothing(resample: str, left: int, top: int, right: int, bottom: int) -> None:
    """What lies outside the image is black, so making it part of the image must not matter."""
    plan = ViewPlan.mso(size=32, resample=resample)
    image, here = picture(), region()
    wide = np.pad(image, ((top, bottom), (left, right), (0, 0)))
    x1, y1, x2, y2 = here.box
    mask = np.pad(here.mask, ((top, bottom), (left, right)))
    there = Region(mask, box=(x1 + left, y1 + top, x2 + left, y2 + top))
    np.testing.assert_array_equal(crop_views(wide, there, plan), views_of(plan))


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(27)), st.integers(1, 27))
def test_a_view_does_not_depend_on_its_companions(order: list[int], count: int) -> None:
    """Windows share work; whichever are asked for, each comes out the same."""
    from mvrec_edge.runtime.views.resample import resize_windows_exact

    image = np.dstack([picture(), region().mask])

    def fetch(x1: int, y1: int, x2: int, y2: int) -> npt.NDArray[np.uint8]:
        window = np.zeros((y2 - y1, x2 - x1, 4), np.uint8)
        left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, 120), min(y2, 90)
        if left < right and top < bottom:
            window[top - y1 : bottom - y1, left - x1 : right - x1] = image[top:bottom, left:right]
        return window

    plan = ViewPlan.mso(size=16)
    windows = plan.windows(region().box)
    whole = views_of(plan)
    chosen = order[:count]
    out = np.empty((count, 16, 16, 4), np.uint8)
    resize_windows_exact(fetch, [windows[index] for index in chosen], 16, out)
    np.testing.assert_array_equal(out, whole[chosen])


@pytest.mark.parametrize("name", ["mf", "mr", "msr", "mor"])
def test_turned_views_are_the_upright_view_turned_image_and_mask_together(name: str) -> None:
    plan = ViewPlan.by_name(name, size=32)
    upright = ViewPlan(name="x", scales=plan.scales, shifts=plan.shifts, size=32)
    views = crop_views(picture(), region(), plan)
    plain = crop_views(picture(), region(), upright)
    per_window = len(plan.rotations) * len(plan.flips)
    for index, (view, got) in enumerate(zip(plan.views, views, strict=True)):
        np.testing.assert_array_equal(got, view.turn(plain[index // per_window]))
    np.testing.assert_array_equal(views[::per_window], plain)


def test_a_constant_image_stays_constant() -> None:
    image = np.full((900, 900, 3), (10, 200, 255), np.uint8)
    views = crop_views(image, Region.from_box((440, 440, 460, 460), (900, 900)), ViewPlan.mso())
    np.testing.assert_array_equal(views[..., :3], np.broadcast_to(image[0, 0], views[..., :3].shape))


def test_only_what_lies_under_the_windows_is_looked_at() -> None:
    """A picture of 12 gigapixels that exists only as a repeated pixel: a copy of it would not fit anywhere."""
    image = np.broadcast_to(np.array([1, 2, 3], np.uint8), (100_000, 120_000, 3))
    here = Region.from_box((70_000, 50_000, 70_040, 50_020), image.shape[:2])
    tracemalloc.start()
    views = crop_views(image, here, ViewPlan.mso(size=32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(views[13, 0, 0, :3], (1, 2, 3))
    assert peak < 64e6


def test_arrays_in_any_layout_are_taken() -> None:
    image = picture()
    want = crop_views(image, region(), ViewPlan.by_name("ms", size=32))
    for same in (np.asfortranarray(image), image[..., ::-1].copy()[..., ::-1], np.flip(np.flip(image, 1).copy(), 1)):
        np.testing.assert_array_equal(crop_views(same, region(), ViewPlan.by_name("ms", size=32)), want)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((90, 120), np.uint8),
        np.zeros((90, 120, 4), np.uint8),
        np.zeros((90, 120, 3), np.float32),
        np.zeros((90, 120, 3), np.uint16),
    ],
)
def test_other_images_are_refused(image: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match="to_rgb_uint8"):
        crop_views(image, region(), ViewPlan.by_name("ms"))


def test_a_region_of_another_image_is_refused() -> None:
    with pytest.raises(AnnotationError, match="120 x 90 pixels, this one has 121 x 90"):
        crop_views(picture(90, 121), region(), ViewPlan.by_name("ms"))


@pytest.mark.parametrize("resample", ["exact", "fast"])
@pytest.mark.parametrize("box", [(0, 0, 20_000, 20_000), (0, 0, 3, 900_000), (0, 0, 900_000, 3)])
def test_a_box_far_beyond_the_image_is_refused_before_anything_is_cut(
    resample: str, box: tuple[int, int, int, int]
) -> None:
    here = Region.from_box(box, (90, 120), source="forged.json#1")
    tracemalloc.start()
    try:
        with pytest.raises(AnnotationError, match=r"forged\.json#1: a window of .* too large"):
            crop_views(picture(), here, ViewPlan.by_name("mso_bbox", size=32, resample=resample))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1e6
    # Fixed windows do not follow the box, so the same region can still be cut with them.
    assert crop_views(picture(), here, ViewPlan.by_name("ms", size=32, resample=resample)).shape == (3, 32, 32, 4)


@pytest.mark.parametrize("resample", ["exact", "fast"])
@pytest.mark.parametrize("together", [0, 1 << 25])
def test_threads_change_no_pixel(monkeypatch: pytest.MonkeyPatch, resample: str, together: int) -> None:
    monkeypatch.setattr(resample_module, "_MOST_PIXELS_TOGETHER", together)
    plan = ViewPlan.mso(size=48, resample=resample)
    found = []
    for cpus in (1, 4):
        monkeypatch.setattr(threads, "usable_cpus", lambda cpus=cpus: cpus)
        threads._pool.cache_clear()
        found.append(crop_views(picture(), region(), plan))
    threads._pool.cache_clear()
    np.testing.assert_array_equal(*found)
