"""Very large windows: averaged in blocks first, close to the exact resampling, and with bounded work."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime import Region, ViewPlan, crop_views
from mvrec_edge.runtime.views import crop as crop_module
from mvrec_edge.runtime.views.patches import LARGEST_WINDOW, cut_patch
from mvrec_edge.runtime.views.reduction import LARGEST_UNREDUCED, on_blocks, reduced, reduction
from mvrec_edge.runtime.views.resample import Fetch, Window, resize_windows_exact

SIDES = st.integers(1, 16384)


def line_scan(height: int, width: int) -> tuple[npt.NDArray[np.uint8], Region]:
    """A grained surface with hard edges, and a long defect."""
    rng = np.random.default_rng(3)
    grain = rng.normal(0, 30, (height, width, 3)).astype(np.float32)
    surface = cv2.GaussianBlur(grain, (0, 0), 1.5) * 3 + 120
    for _ in range(40):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        colour = tuple(float(value) for value in rng.integers(0, 256, 3))
        cv2.rectangle(surface, (x, y), (x + width // 9, y + height // 12), colour, -1)
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 3, height // 7), 20, 0, 360, 1, -1)
    return np.clip(surface, 0, 255).astype(np.uint8), Region(mask)


@given(SIDES)
def test_blocks_bring_a_window_to_no_more_than_four_times_512(side: int) -> None:
    factor = reduction(side)
    assert factor & (factor - 1) == 0
    assert -(-side // factor) <= LARGEST_UNREDUCED
    assert factor == 1 or side > LARGEST_UNREDUCED * factor // 2
    assert (factor == 1) == (side <= LARGEST_UNREDUCED)


@given(st.integers(-40000, 40000), SIDES)
def test_windows_move_by_no_more_than_half_a_block(start: int, side: int) -> None:
    factor = reduction(side)
    first, last = on_blocks(start, side, factor)
    assert first % factor == last % factor == 0
    assert abs(first - start) <= factor // 2
    assert side <= last - first < side + factor
    # Rounded up, a window has the same blocks.
    assert reduction(last - first) == factor


@settings(max_examples=30, deadline=None)
@given(st.integers(-500, 20000), st.integers(-500, 20000), st.integers(2049, 16384))
def test_the_windows_of_a_plan_lie_on_blocks(x: int, y: int, size: int) -> None:
    plan = ViewPlan.by_name("mso", window_sizes=(256, size))
    assert set(plan.reductions) == {1, reduction(size)}
    for window, factor in zip(plan.windows((x, y, x + 40, y + 90)), plan.reductions, strict=True):
        assert all(edge % factor == 0 for edge in window)


def test_windows_of_the_box_are_never_averaged() -> None:
    plan = ViewPlan.by_name("mso_bbox")
    assert set(plan.reductions) == {1}


@pytest.mark.parametrize(
    ("name", "view", "size"), [("mo", 96, 2049), ("mo", 96, 3000), ("none", 224, 2049), ("none", 224, 4096)]
)
@pytest.mark.parametrize("noise", [False, True])
def test_views_are_close_to_those_of_the_exact_resampling(name: str, view: int, size: int, *, noise: bool) -> None:
    image, region = line_scan(2600, 3300)
    if noise:
        image = np.random.default_rng(0).integers(0, 256, image.shape, dtype=np.uint8)
    plan = ViewPlan.by_name(name, size=view, window_sizes=(size,))
    windows = plan.windows(region.box)
    exact = np.empty((len(windows), view, view, 4), np.uint8)

    def fetch(x1: int, y1: int, x2: int, y2: int) -> npt.NDArray[np.uint8]:
        return crop_module._cut(image, region, x1, y1, x2, y2)

    resize_windows_exact(fetch, windows, view, exact)
    apart = np.abs(crop_views(image, region, plan).astype(int) - exact)
    # What docs/calibrate.md states.
    assert apart.max() <= 6
    assert apart.mean() <= 0.6


@pytest.mark.parametrize("resample", ["exact", "fast"])
def test_no_more_samples_are_resampled_than_of_a_window_of_2048(resample: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    name = f"resize_windows_{resample}"
    whole = getattr(crop_module, name)

    def counting(
        fetch: Fetch, windows: list[Window], size: int, out: npt.NDArray[np.uint8], threads: int | None
    ) -> None:
        seen.extend(max(x2 - x1, y2 - y1) for x1, y1, x2, y2 in windows)
        whole(fetch, windows, size, out, threads)

    monkeypatch.setattr(crop_module, name, counting)
    image, region = line_scan(300, 400)
    for size in (2048, 2049, 4096, 5000, 8192, 16384):
        crop_views(image, region, ViewPlan.by_name("mo", size=16, window_sizes=(size,), resample=resample))
    assert len(seen) == 6 * 9
    assert max(seen) <= LARGEST_UNREDUCED


def test_no_pixel_of_the_image_is_fetched_twice() -> None:
    fetched: list[int] = []

    def fetch(x1: int, y1: int, x2: int, y2: int) -> npt.NDArray[np.uint8]:
        fetched.append((x2 - x1) * (y2 - y1))
        return np.full((y2 - y1, x2 - x1, 4), 7, np.uint8)

    windows = list(ViewPlan.by_name("mo", window_sizes=(16384,)).windows((700, 500, 800, 600)))
    cut, scaled = reduced(fetch, windows, (1001, 1500), 8)
    assert sum(fetched) == 1008 * 1504
    assert all(x2 - x1 == 2048 for x1, _, x2, _ in scaled)
    pixels = cut(-1, 0, 3, 1)
    assert pixels[..., 0].tolist() == [[0, 7, 7, 7]]
    assert not cut(400, 400, 410, 410).any()


def test_a_region_whose_window_misses_the_image_is_black() -> None:
    image, _ = line_scan(40, 60)
    region = Region.from_box((0, 0, 3, 3), (40, 60))
    plan = ViewPlan.by_name("mo", size=16, window_sizes=(16384,))
    assert crop_views(image, region, plan).shape == (9, 16, 16, 4)


@pytest.mark.parametrize("resample", ["exact", "fast"])
def test_views_of_several_reductions_come_in_their_own_order(resample: str) -> None:
    image, region = line_scan(700, 900)
    plan = ViewPlan.by_name("msf", size=24, window_sizes=(300, 2100, 4500), resample=resample)
    views = crop_views(image, region, plan)
    for place in (0, 4, 5, 9, 10, 14):
        np.testing.assert_array_equal(crop_views(image, region, plan, views=[place])[0], views[place])
    upright = ViewPlan.by_name("ms", size=24, window_sizes=(300, 2100, 4500), resample=resample)
    np.testing.assert_array_equal(views[[0, 5, 10]], crop_views(image, region, upright))
    np.testing.assert_array_equal(views[1], views[0][:, ::-1])


def test_a_graph_is_given_no_window_that_is_averaged() -> None:
    """A graph resamples as it stands, and would give other values."""
    assert LARGEST_WINDOW <= LARGEST_UNREDUCED
    image, region = line_scan(100, 120)
    for size in (2049, 2050, 4096):
        assert cut_patch(image, region, ViewPlan.by_name("none", size=32, window_sizes=(size,))) is None
    both = ViewPlan.by_name("ms", size=32, window_sizes=(64, 2048, 2049))
    assert cut_patch(image, region, both) is None
    assert cut_patch(image, region, both, views=[1, 0]) is not None
