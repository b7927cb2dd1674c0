"""What regions of one image take together is bounded before they are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.regions import region as region_module
from mvrec_edge.runtime.regions.drawing_budget import drawing_budget, outline_work, take

LARGE = (20_000, 6_000)


def _zigzag(points: int, side: int) -> list[list[float]]:
    steps = np.linspace(0, side - 1, points)
    return np.stack((steps, np.arange(points) % 2 * (side - 1)), axis=1).tolist()


def test_an_outline_that_crosses_itself_too_often_is_refused_before_it_is_drawn() -> None:
    with pytest.raises(AnnotationError, match="takes too much to draw") as caught:
        Region.from_polygon(_zigzag(50_000, 6_000), LARGE, source="a.json#0")
    assert caught.value.where == "a.json#0"
    assert "tiles" in str(caught.value.fix)


def test_what_does_not_fit_any_more_is_refused_and_what_fits_is_not() -> None:
    with drawing_budget():
        take(float((1 << 30) - 400 * 300), None)
        with pytest.raises(AnnotationError, match="with those before it"):
            Region.from_box((0, 0, 399, 399), LARGE, source="a")
        assert Region.from_box((0, 0, 299, 299), LARGE).area == 90_000
    assert Region.from_box((0, 0, 399, 399), LARGE).area == 160_000


@pytest.mark.parametrize("points", [3, 400, 20_000])
def test_a_real_outline_takes_little(points: int) -> None:
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    radius = 2_000 + 20 * np.sin(50 * angles)
    outline = np.stack((2_500 + radius * np.cos(angles), 2_500 + radius * np.sin(angles)), axis=1).astype(np.int64)

    assert outline_work(outline, (6_000, 8_000)) < 2e7


@pytest.mark.parametrize("width", [1, 7, 8, 9, 33])
def test_a_large_region_is_kept_as_bits_and_looks_the_same(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = (np.random.default_rng(width).random((50, width)) < 0.5).astype(np.uint8)
    mask[[0, -1]] = mask[:, [0, -1]] = 1
    windows = [(-3, -2, width + 5, 60), (0, 0, 1, 1), (width - 1, 3, width, 50), (2, 5, 6, 20), (0, 7, width, 9)]

    def seen() -> list[object]:
        region = Region(mask, label="dent", source="m")
        cuts = [region.mask_window(*window).tolist() for window in windows]
        return [region.patch.tolist(), region.mask.tolist(), region.area, region.box, region.patch_size, cuts]

    small = seen()
    monkeypatch.setattr(region_module, "_LARGE", 0)

    assert seen() == small
