"""Hand-made features: numbers whose value is known, and what they must not depend on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib import read_labelled
from mvrec_edge.runtime import Region, open_source
from mvrec_edge.testing.dataset import write_dataset


@pytest.fixture(scope="module")
def module(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("handmade")


def described(module: ModuleType, mask: np.ndarray, image: np.ndarray | None = None) -> dict[str, float]:
    """The numbers by name, before their group's weight."""
    if image is None:
        image = np.full((*mask.shape, 3), 90, np.uint8)
    values = module.describe_region(image, Region(mask))
    names = (*module.COLOURS, *module.SHAPES, *module.CONTRASTS)
    groups = (module.COLOURS, module.SHAPES, module.CONTRASTS)
    weights = np.concatenate(
        [np.full(len(group), weight) for group, weight in zip(groups, module._weights(), strict=True)]
    )
    return dict(zip(names, (values / weights).tolist(), strict=True))


def test_a_square_and_a_bar(module: ModuleType) -> None:
    square, bar = np.zeros((100, 120), np.uint8), np.zeros((100, 120), np.uint8)
    square[30:50, 40:60] = 255
    bar[30:34, 10:110] = 255
    one, other = described(module, square), described(module, bar)
    assert one["log area"] == pytest.approx(other["log area"]) == pytest.approx((np.log(400) - 6) / 2)
    assert one["log elongation"] == pytest.approx(-1, abs=1e-6)
    assert other["log elongation"] == pytest.approx(np.log(100 / 4) - 1, abs=1e-3)
    for shape in (one, other):
        assert shape["extent"] == pytest.approx(1)
        assert shape["solidity"] == pytest.approx(1)
        assert shape["holes"] == 0
    assert one["compactness"] == pytest.approx(2 * np.pi / 4 - 1)
    assert one["compactness"] > other["compactness"]
    assert one["log thickness"] > other["log thickness"]


def test_a_ring_has_a_hole_and_little_of_its_hull(module: ModuleType) -> None:
    ring = np.zeros((100, 100), np.uint8)
    cv2.circle(ring, (50, 50), 30, (255,), 4)
    values = described(module, ring)
    assert values["holes"] == pytest.approx(np.log(2))
    assert values["solidity"] < 0


def test_colours_and_contrast_are_of_the_inside_against_the_surroundings(module: ModuleType) -> None:
    mask = np.zeros((60, 60), np.uint8)
    mask[20:40, 20:40] = 255
    image = np.full((60, 60, 3), 100, np.uint8)
    image[mask > 0] = (180, 100, 60)
    # Far away: it must not count.
    image[:4] = 255
    values = described(module, mask, image)
    assert [values[f"brighter in {name}"] for name in ("red", "green", "blue")] == pytest.approx([2, 0, -1])
    # The histograms of three channels share the length 1.
    assert [values[name] for name in ("in r 5", "in b 1", "out r 3")] == pytest.approx([3**-0.5] * 3)
    assert values["out r 7"] == 0
    assert values["log deviation inside"] == pytest.approx(-2.5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.integers(1, 30))
def test_any_mask_is_described_and_its_place_does_not_matter(module: ModuleType, seed: int, shift: int) -> None:
    random = np.random.default_rng(seed)
    mask = np.zeros((110, 110), np.uint8)
    mask[20:60, 20:60] = (random.random((40, 40)) < random.uniform(0.001, 1)) * np.uint8(255)
    mask[35, 35] = 255
    image = random.integers(0, 256, (110, 110, 3), dtype=np.uint8)
    values = module.describe_region(image, Region(mask))
    assert np.isfinite(values).all()
    moved = module.describe_region(np.roll(image, shift, (0, 1)), Region(np.roll(mask, shift, (0, 1))))
    np.testing.assert_allclose(moved, values, rtol=1e-5, atol=1e-5)


def test_a_mask_of_one_pixel_or_of_everything(module: ModuleType) -> None:
    dot, everything = np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)
    dot[0, 0] = 255
    for mask in (dot, everything):
        assert np.isfinite(list(described(module, mask).values())).all()


def test_instances_of_a_data_set(module: ModuleType, tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", families=("pit", "scratch"), per_class=2, size=(96, 128))
    labelled = read_labelled(open_source(tmp_path / "d"))
    features = module.describe_instances(labelled)
    assert features.shape == (len(labelled.instances), 1, 63)
    assert features.dtype == np.float32
    widths = [features[..., columns].shape[-1] for columns in module.GROUPS.values()]
    assert widths == [63, 15, 8]
