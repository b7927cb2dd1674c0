"""Small files that would take much are read within the limits or refused; large files of a real line are read."""

from __future__ import annotations

import importlib
from pathlib import Path

import cv2
import pytest

from tests.harness.limits import cost_in_child, fault
from tests.harness.parsers.bombs import BOMBS, LARGE_BUT_GOOD, Bomb

pytestmark = pytest.mark.harness


@pytest.fixture(autouse=True, scope="module")
def _loaded() -> None:
    """Loads what readers load when they first need it, so that no child is charged with it."""
    cv2.setNumThreads(1)
    for name in ("tifffile", "simplejpeg", "imagecodecs", "safetensors.numpy", "mvrec_edge.calib.evaluation.features"):
        importlib.import_module(name)


@pytest.mark.parametrize("bomb", BOMBS, ids=[bomb.name for bomb in BOMBS])
def test_it_takes_little_or_is_refused(bomb: Bomb, tmp_path: Path) -> None:
    if bomb.name.startswith("checkpoint"):
        pytest.importorskip("torch", reason="the export stage needs PyTorch")
        importlib.import_module("mvrec_edge.export.checkpoint")

    cost = cost_in_child(bomb.make(tmp_path))

    assert fault(cost, needed_mb=bomb.needed_mb, seconds=bomb.seconds) is None


@pytest.mark.parametrize("large", LARGE_BUT_GOOD, ids=[large.name for large in LARGE_BUT_GOOD])
def test_it_is_large_and_read_all_the_same(large: Bomb, tmp_path: Path) -> None:
    cost = cost_in_child(large.make(tmp_path))

    assert cost.refusal is None
    assert fault(cost, needed_mb=large.needed_mb, seconds=large.seconds) is None
