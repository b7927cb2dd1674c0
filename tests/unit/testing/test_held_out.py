"""The defects that the pocket encoder is tried on."""

from __future__ import annotations

import functools
from pathlib import Path

import cv2
import numpy as np
import pytest

from mvrec_edge.runtime import open_source
from mvrec_edge.testing import HELD_OUT_FAMILIES
from mvrec_edge.testing.dataset import write_dataset
from mvrec_edge.testing.held_out import HELD_OUT
from mvrec_edge.testing.surfaces import DEFECT_FAMILIES, SURFACES, render_defect

SEEDS = range(12)


@functools.cache
def _painted(family: str, seed: int, size: tuple[int, int] = (480, 640)) -> tuple[np.ndarray, np.ndarray]:
    """What a family does to an even canvas, in absolute grey levels, and the mask it returns."""
    canvas = np.full((*size, 3), 128, np.float32)
    mask = HELD_OUT[family](np.random.Generator(np.random.PCG64(seed)), canvas, None)
    return np.abs(canvas - 128).max(axis=2), mask


def _looks(family: str, seed: int) -> np.ndarray:
    """Area, holes' share, and edges' share of what is seen."""
    changed, mask = _painted(family, seed)
    seen = changed > 20
    hull = cv2.convexHull(cv2.findNonZero(seen.astype(np.uint8)))
    return np.array([mask.astype(bool).mean(), seen.sum() / cv2.contourArea(hull), changed.max() / 100])


@pytest.mark.parametrize("family", HELD_OUT_FAMILIES)
def test_the_mask_covers_what_changed_and_little_else(family: str) -> None:
    for seed in SEEDS:
        changed, mask = _painted(family, seed)
        outside = changed[mask == 0]
        # The soft edge of a line goes on for a pixel beyond its mask.
        assert changed[cv2.dilate(mask, np.ones((5, 5), np.uint8)) == 0].max() < 2
        assert outside.max() < 0.3 * changed.max()
        _, _, seen_width, seen_height = cv2.boundingRect((changed > 10).astype(np.uint8))
        _, _, width, height = cv2.boundingRect(mask)
        assert seen_width > 0.8 * width
        assert seen_height > 0.8 * height


@pytest.mark.parametrize("family", HELD_OUT_FAMILIES)
def test_a_defect_is_one_region(family: str) -> None:
    for seed in SEEDS:
        _, mask = _painted(family, seed)
        assert cv2.connectedComponents(mask, connectivity=8)[0] == 2
        assert set(np.unique(mask)) == {0, 255}


@pytest.mark.parametrize("family", HELD_OUT_FAMILIES)
def test_a_seed_decides_everything(family: str) -> None:
    first, again, other = (render_defect(family, "painted", size=(120, 160), seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert not np.array_equal(first.mask, other.mask)


@pytest.mark.parametrize("family", HELD_OUT_FAMILIES)
def test_defects_of_a_family_differ_in_size_tone_and_cover(family: str) -> None:
    looks = np.array([_looks(family, seed) for seed in SEEDS])
    assert (looks.max(axis=0) > 1.25 * looks.min(axis=0)).all()


@pytest.mark.parametrize("family", HELD_OUT_FAMILIES)
def test_tone_does_not_give_a_family_away(family: str) -> None:
    signs = set()
    for seed in range(30):
        canvas = np.full((240, 320, 3), 128, np.float32)
        HELD_OUT[family](np.random.Generator(np.random.PCG64(seed)), canvas, None)
        signs.add(bool(canvas.mean() > 128))
    assert signs == {True, False}


@pytest.mark.parametrize("family", HELD_OUT_FAMILIES)
def test_a_tone_that_is_asked_for_changes_nothing_else(family: str) -> None:
    bright, dark = (render_defect(family, "painted", size=(240, 320), seed=4, tone=tone) for tone in ("bright", "dark"))
    chance = render_defect(family, "painted", size=(240, 320), seed=4)
    assert any(np.array_equal(chance.image, each.image) for each in (bright, dark))
    np.testing.assert_array_equal(bright.mask, dark.mask)
    assert bright.image.mean() > dark.image.mean()


def test_a_line_has_one_surface_and_a_family_one_tone(tmp_path: Path) -> None:
    tones: dict[str, set[bool]] = {}
    for seed in range(6):
        folder = tmp_path / str(seed)
        write_dataset(folder, families=("fibre",), per_class=4, size=(200, 200), seed=seed, surface="painted")
        brighter = set()
        for path in sorted((folder / "fibre" / "Imgs").glob("*.jpg")):
            grey, mask = cv2.imread(str(path), 0), cv2.imread(str(path.with_suffix(".png")), 0)
            near = cv2.dilate(mask, np.ones((15, 15), np.uint8)) & ~cv2.dilate(mask, np.ones((5, 5), np.uint8))
            brighter.add(bool(grey[mask > 0].mean() > grey[near > 0].mean()))
        assert len(brighter) == 1
        tones.setdefault("fibre", set()).update(brighter)
    assert tones["fibre"] == {True, False}


def test_training_has_no_such_family() -> None:
    shapes = pytest.importorskip("training.shapes")
    appearances = pytest.importorskip("training.appearances")
    trained = set(shapes.PROCESSES) | set(appearances.EFFECTS)
    assert not trained & set(HELD_OUT_FAMILIES)
    assert not set(DEFECT_FAMILIES) & set(HELD_OUT_FAMILIES)
    folder = Path(shapes.__file__).parent
    for module in folder.glob("*.py"):
        text = module.read_text(encoding="utf-8")
        assert "runtime.testing" not in text, f"{module.name} takes what the encoder is tried on"


def test_nothing_here_is_drawn_by_training() -> None:
    import mvrec_edge.testing.held_out as held_out

    assert held_out.__file__ is not None
    assert "training" not in [line.split()[1].split(".")[0] for line in _imports(Path(held_out.__file__))]


def _imports(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith(("import ", "from "))]


def test_a_data_set_of_them(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", families=HELD_OUT_FAMILIES, per_class=3, size=(96, 128), seed=2)
    source = open_source(tmp_path / "d")
    assert len(source) == 15
    labels = [annotation.label for item in source for annotation in item.annotations]
    assert sorted(set(labels)) == sorted(HELD_OUT_FAMILIES)
    assert {render_defect("fibre", surface, size=(64, 64)).surface for surface in SURFACES} == set(SURFACES)
