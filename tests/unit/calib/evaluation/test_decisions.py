"""Label flips and lost margin."""

from __future__ import annotations

import numpy as np
import pytest

from mvrec_edge.calib import compare_decisions

NAMES = ("crack", "dent")
LABELS = [0, 0, 0, 1, 1, 1]


def _embeddings(seed: int = 0) -> np.ndarray:
    centres = np.eye(2, 16)[LABELS] * 4
    return (centres[:, None] + np.random.default_rng(seed).normal(size=(6, 3, 16)) * 0.3).astype(np.float32)


def test_nothing_changes_with_the_same_embeddings() -> None:
    record = compare_decisions(_embeddings(), _embeddings(), LABELS, NAMES)
    assert (record.instances, record.flips, record.correct_reference, record.correct) == (6, 0, 6, 6)
    assert (record.mean_margin_lost, record.worst_margin_lost) == (0.0, 0.0)


def test_scale_changes_nothing() -> None:
    record = compare_decisions(_embeddings(), 2 * _embeddings(), LABELS, NAMES)
    assert record.flips == 0
    assert record.worst_margin_lost == pytest.approx(0.0, abs=1e-3)


def test_an_instance_that_moved_to_the_other_class_is_a_flip() -> None:
    moved = _embeddings()
    moved[0] = _embeddings(1)[5]
    record = compare_decisions(_embeddings(), moved, LABELS, NAMES)
    assert (record.flips, record.correct_reference, record.correct) == (1, 6, 5)
    assert record.worst_margin_lost > 0.5
    assert record.mean_margin_lost <= record.worst_margin_lost


def test_single_instances_cannot_be_left_out() -> None:
    record = compare_decisions(_embeddings()[[0, 3]], _embeddings()[[0, 3]], [0, 1], NAMES)
    assert (record.instances, record.flips) == (0, 0)
