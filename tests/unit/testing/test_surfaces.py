"""Rendered surfaces and data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime import open_source, read_image, read_mask
from mvrec_edge.runtime.errors import OutputError, UsageError
from mvrec_edge.testing.dataset import write_dataset
from mvrec_edge.testing.surfaces import DEFECT_FAMILIES, HELD_OUT_FAMILIES, SURFACES, render_defect

_MEANS = {"scratch": 120.42, "crack": 121.84, "pit": 124.30, "stain": 124.92, "inclusion": 123.91, "dent": 122.54}
_AREAS = {"scratch": 125, "crack": 149, "pit": 184, "stain": 660, "inclusion": 135, "dent": 498}


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("family", DEFECT_FAMILIES + HELD_OUT_FAMILIES)
def test_a_defect_is_seen_and_lies_under_its_mask(family: str, surface: str) -> None:
    sample = render_defect(family, surface, size=(240, 320), seed=3)
    assert sample.image.shape == (240, 320, 3)
    assert sample.image.dtype == sample.mask.dtype == np.uint8
    assert set(np.unique(sample.mask)) == {0, 255}
    inside = sample.mask > 0
    assert 10 <= inside.sum() < 0.2 * inside.size
    # Against the ring just around it, so that uneven light does not count as contrast.
    import cv2

    ring = (cv2.dilate(sample.mask, np.ones((15, 15), np.uint8)) > 0) & ~inside
    values = sample.image.mean(axis=2)
    assert np.abs(values[inside] - values[ring].mean()).mean() > 8


def test_a_seed_decides_everything() -> None:
    first, again, other = (render_defect("crack", "fabric", seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("size", [(64, 64), (64, 700), (700, 64)])
@pytest.mark.parametrize("family", DEFECT_FAMILIES + HELD_OUT_FAMILIES)
def test_small_and_long_images(family: str, size: tuple[int, int]) -> None:
    assert render_defect(family, "casting", size=size, seed=1).mask.any()


def test_images_of_a_seed_stay_what_they_were() -> None:
    """Golden views and figures rest on them; the means leave room for another build of OpenCV."""
    found = {family: render_defect(family, "casting", size=(120, 160), seed=11) for family in DEFECT_FAMILIES}
    means = {family: float(sample.image.mean()) for family, sample in found.items()}
    assert means == pytest.approx(_MEANS, abs=0.02)
    assert {family: int((sample.mask > 0).sum()) for family, sample in found.items()} == pytest.approx(_AREAS, abs=3)


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="scratch"):
        render_defect("coffee", "painted")
    with pytest.raises(UsageError, match="brushed metal"):
        render_defect("crack", "water")
    with pytest.raises(UsageError, match="64 to 4096"):
        render_defect("crack", "painted", size=(10, 10))


def test_a_data_set_is_read_back(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", families=("pit", "crack"), per_class=3, size=(96, 128), seed=2)
    source = open_source(tmp_path / "d")
    assert source.format == "folders"
    assert len(source) == 6
    labels = [item.annotations[0].label for item in source]
    assert sorted(set(labels)) == ["crack", "pit"]
    for item in source:
        assert read_image(item.path).shape == (96, 128, 3)
        assert read_mask(item.path.with_suffix(".png")).any()
    with pytest.raises(OutputError, match="not empty"):
        write_dataset(tmp_path / "d")
