"""Unknown defects on real AlphaCLIP features: each class left out in turn, five draws, as was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvrec_edge.calib import EvaluationSet, Protocol, UnknownResult, evaluate_unknown, read_features


@pytest.fixture(scope="module")
def results(shared_data: Path) -> dict[tuple[str, int], UnknownResult]:
    data = read_features(shared_data / "alphaclip_features_transistor" / "features.safetensors")
    found = evaluate_unknown(data, Protocol(shots=(3, 5), draws=5, heads=("zip-c",)), 0.05)
    return {(result.score, result.shots): result for result in found}


@pytest.mark.parametrize(("shots", "bound"), [(3, 0.95), (5, 0.98)])
def test_novelty_tells_unknown_defects(results: dict[tuple[str, int], UnknownResult], shots: int, bound: float) -> None:
    novelty = results["novelty", shots]
    assert novelty.auroc.shape == (4, 5)
    assert novelty.auroc.mean() >= bound


def test_novelty_tells_unknown_defects_where_the_light_differs(shared_data: Path) -> None:
    """The support is drawn from the split without changed colours, and the split with them is classified."""
    data = read_features(shared_data / "alphaclip_features_transistor" / "features.safetensors")
    assert data.query is not None
    assert data.query_labels is not None
    swapped = EvaluationSet(data.class_names, data.query, data.query_labels, data.support, data.support_labels)
    found = evaluate_unknown(swapped, Protocol(shots=(5,), draws=5, heads=("zip-c",)), 0.05)
    assert next(result for result in found if result.score == "novelty").auroc.mean() >= 0.9


@pytest.mark.parametrize("shots", [3, 5])
def test_no_more_known_defects_are_rejected_than_asked_for(
    results: dict[tuple[str, int], UnknownResult], shots: int
) -> None:
    assert results["novelty", shots].known_rejected.mean() <= 0.05


def test_cosines_are_those_that_were_measured_before(results: dict[tuple[str, int], UnknownResult]) -> None:
    measured = {
        ("centred cosine", 5): 0.996,
        ("centred cosine", 3): 0.953,
        ("cosine", 5): 0.973,
        ("cosine", 3): 0.879,
    }
    for place, value in measured.items():
        assert results[place].auroc.mean() == pytest.approx(value, abs=5e-4)
