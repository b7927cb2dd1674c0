"""The paper's baselines on clusters whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="two baselines come from scikit-learn")
pytest.importorskip("torch", reason="two baselines are trained with PyTorch")

NAMES = [
    "KNN", "ProtoNet", "linear probe", "CLIP-Adapter", "Tip-Adapter", "Tip-Adapter-F", "centred linear probe",
    "centred ridge",
]  # fmt: skip


@pytest.fixture(scope="module")
def module(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("baselines")


@pytest.mark.parametrize("shots", [1, 4])
@pytest.mark.parametrize("name", NAMES)
def test_clusters_apart_are_told_apart_and_again_the_same(module: ModuleType, name: str, shots: int) -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((3, 1, 32))
    labels = np.repeat(np.arange(3), shots)
    support = (centres[labels] + 0.05 * rng.standard_normal((len(labels), 5, 32))).astype(np.float32)
    truth = np.repeat(np.arange(3), 6)
    query = (centres[truth] + 0.05 * rng.standard_normal((len(truth), 5, 32))).astype(np.float32)
    first = module.BASELINES[name](support, labels, 3, query)
    np.testing.assert_array_equal(first, truth)
    np.testing.assert_array_equal(module.BASELINES[name](support, labels, 3, query), first)


def test_every_baseline_is_measured(module: ModuleType) -> None:
    assert list(module.BASELINES) == NAMES
    assert list(module.VIEWS) == ["all views", "first view"]
