"""Rows and tables of the heads' figures."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mvrec_edge.calib import EvaluationSet, Protocol, evaluate_heads
from mvrec_edge.calib.evaluation.directions import BACKWARD, FORWARD


@pytest.fixture(scope="module")
def rows_module(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("head_rows")


@pytest.fixture(scope="module")
def heads(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("heads")


@pytest.fixture(scope="module")
def pocket(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("heads_pocket")


def clusters(each: int, seed: int = 0) -> EvaluationSet:
    random = np.random.default_rng(seed)
    centres = 2 * random.standard_normal((2, 1, 8))
    labels = np.repeat(np.arange(2), each)
    parts = [(centres[labels] + random.standard_normal((len(labels), 3, 8))).astype(np.float32) for _ in range(2)]
    return EvaluationSet(("a", "b"), parts[0], labels, parts[1], labels)


def test_a_row_is_what_the_evaluation_says(rows_module: ModuleType) -> None:
    (result,) = evaluate_heads(clusters(6), Protocol((2,), 4, ("zip",)))
    row = rows_module.head_row(result, "zip, named", direction=FORWARD)
    assert (row["direction"], row["head"], row["shots"], row["queries"]) == (FORWARD, "zip, named", 2, 12)
    assert row["accuracy"] == pytest.approx(100 * result.mean, abs=0.01)
    assert row["standard_error_draws"] == pytest.approx(100 * result.over_draws, abs=0.01)
    assert row["draws"] == pytest.approx([100 * value for value in result.accuracies], abs=0.01)
    assert row["log_loss"] == pytest.approx(result.probabilities.log_loss.value, abs=0.001)
    assert row["calibration_error"] == pytest.approx(result.probabilities.calibration_error.value, abs=0.001)


def test_a_single_draw_has_no_standard_error(rows_module: ModuleType) -> None:
    row = rows_module.accuracy_row([0.5], baseline="KNN")
    assert row == {"baseline": "KNN", "accuracy": 50.0, "standard_error_draws": None, "draws": [50.0]}
    assert rows_module.accuracy_cell(row) == "50.0"
    assert rows_module.accuracy_cell(rows_module.accuracy_row([0.4, 0.6])) == "50.0 ± 10.0"


def test_every_head_both_ways_and_unbalanced(heads: ModuleType) -> None:
    rows = heads.training_free(clusters(6), 2)
    assert {row["head"] for row in rows} == {*heads.TRAINING_FREE, "zip, mean", heads.WOMV}
    assert {row["shots"] for row in rows if row["head"] == "auto"} == {1, 3, 5, "2-5"}


def row(direction: str, head: str, shots: int | str, *draws: float) -> dict[str, Any]:
    return {
        "direction": direction, "head": head, "shots": shots, "accuracy": float(np.mean(draws)),
        "standard_error_draws": 1.0, "draws": list(draws), "queries": 21, "log_loss": 0.5, "calibration_error": 0.05,
    }  # fmt: skip


def test_tables_of_both_directions_and_of_the_released_draws(heads: ModuleType) -> None:
    rows = [
        row(way, "zip", shots, *[90.0] * 5, *[60.0] * 5) for way in (FORWARD, BACKWARD) for shots in (1, 3, 5, "2-5")
    ]
    text = heads.report(rows, [])
    assert "| zip | " + " | ".join(["75.0 ± 1.0"] * 6) + " |" in text
    assert "| zip | 75.0 ± 1.0 | 75.0 ± 1.0 |\n" in text
    assert f"| zip | 90.00 | 90.00 | 90.00 | {heads.PAPER['zip']} |" in text
    assert "| zip | " + " | ".join(["0.500 / 0.050"] * 8) + " |" in text
    assert "## Baselines" not in text


def test_the_heads_of_the_pocket_encoder(pocket: ModuleType) -> None:
    data = clusters(12)
    known = EvaluationSet(data.class_names, data.support, data.support_labels, support_images=np.arange(24) // 2)
    rows = pocket.measured({pocket.TILES: known}, 2)
    assert [(row["split"], row["shots"], row["head"]) for row in rows] == [
        (split, 5, head) for split in ("region", "image") for head in pocket.HEADS
    ]
    text = pocket.report(rows)
    assert f"| {pocket.TILES}, by image | 5 | " in text
