"""Log-loss, Brier score, calibration error and reliability, against other computations of the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.calib.evaluation.answers import Answers
from mvrec_edge.calib.evaluation.probability_measures import (
    SMALLEST_PROBABILITY,
    ProbabilityMeasures,
    measure_probabilities,
)
from mvrec_edge.calib.fitting.probabilities import calibration_error


def stated(probabilities: np.ndarray, labels: np.ndarray, images: np.ndarray | None = None) -> Answers:
    """Answers of draws that ask everything; float `[D, Q, N]`."""
    answers = Answers.empty(labels, images, len(probabilities))
    for draw, rows in enumerate(probabilities):
        answers.put(draw, np.arange(len(labels)), rows.astype(np.float32))
    return answers


def drawn(seed: int, draws: int = 3, queries: int = 25, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    logits = 2 * generator.standard_normal((draws, queries, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return probabilities.astype(np.float32), generator.integers(classes, size=queries)


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(2, 30), st.integers(2, 5))
def test_against_their_definitions(seed: int, draws: int, queries: int, classes: int) -> None:
    probabilities, labels = drawn(seed, draws, queries, classes)
    found = measure_probabilities(stated(probabilities, labels))
    truth = np.eye(classes)[labels]
    of_truth = (probabilities * truth).sum(axis=2, dtype=np.float64)
    assert found.log_loss.value == pytest.approx(-np.log(of_truth).mean(), rel=1e-5)
    assert found.brier.value == pytest.approx(np.square(probabilities - truth).sum(axis=2).mean(), rel=1e-4)
    # The logarithms of probabilities are logits of the same probabilities.
    together = np.log(probabilities.reshape(-1, classes))
    wanted = calibration_error(together, np.tile(labels, draws))
    assert found.calibration_error.value == pytest.approx(wanted, abs=1e-4)
    _check_bins(found, probabilities, labels)
    for measured, highest in ((found.log_loss, 16), (found.brier, 2), (found.calibration_error, 1)):
        low, high = measured.interval
        assert 0 <= low <= measured.value <= high <= highest


def _check_bins(found: ProbabilityMeasures, probabilities: np.ndarray, labels: np.ndarray) -> None:
    total = labels.size * len(probabilities)
    assert sum(each.decisions for each in found.bins) == total
    assert [each.low for each in found.bins] == pytest.approx(np.arange(10) / 10)
    filled = [each for each in found.bins if each.decisions]
    assert all(each.low - 1e-6 <= each.stated <= each.high + 1e-6 for each in filled)
    gaps = sum(each.decisions / total * abs(each.stated - each.right) for each in filled)
    assert gaps == pytest.approx(found.calibration_error.value, abs=1e-9)
    right = (probabilities.argmax(axis=2) == labels).mean()
    assert sum(each.decisions * each.right for each in filled) / total == pytest.approx(right)


def test_the_ends_of_the_ranges() -> None:
    labels = np.array([0, 1, 0])
    sure = np.eye(2)[labels][None]
    found = measure_probabilities(stated(sure, labels))
    assert (found.log_loss.value, found.brier.value, found.calibration_error.value) == (0, 0, 0)
    assert found.bins[-1].decisions == 3
    wrong = measure_probabilities(stated(1 - sure, labels))
    assert wrong.log_loss.value == pytest.approx(-np.log(SMALLEST_PROBABILITY)) == pytest.approx(15.942, abs=1e-3)
    assert (wrong.brier.value, wrong.calibration_error.value) == (2, 1)
    assert wrong.bins[0].to_dict() == {"from": 0.0, "to": 0.1, "decisions": 0, "stated": None, "right": None}


def test_what_is_not_asked_does_not_count() -> None:
    probabilities, labels = drawn(3)
    some = Answers.empty(labels, None, 3)
    for draw in range(3):
        asked = np.arange(draw, 20, 2)
        some.put(draw, asked, probabilities[draw, asked])
    found = measure_probabilities(some)
    losses = [-np.log(probabilities[draw, np.arange(draw, 20, 2), labels[draw:20:2]]).mean() for draw in range(3)]
    # Draws weigh alike, as in the mean accuracy.
    assert found.log_loss.value == pytest.approx(np.mean(losses), rel=1e-5)
    assert sum(each.decisions for each in found.bins) == 10 + 10 + 9


def test_intervals_go_by_images() -> None:
    probabilities, labels = drawn(5, queries=60)
    own = measure_probabilities(stated(probabilities, labels)).log_loss
    copies = np.repeat(np.arange(60), 4)
    on_images = measure_probabilities(stated(probabilities[:, copies], labels[copies], copies)).log_loss
    assert on_images.value == pytest.approx(own.value)
    assert on_images.interval == pytest.approx(own.interval)
    apart = measure_probabilities(stated(probabilities[:, copies], labels[copies])).log_loss
    assert apart.interval[1] - apart.interval[0] < 0.7 * (own.interval[1] - own.interval[0])
    alone = measure_probabilities(stated(probabilities, labels, np.zeros(60, np.int64)))
    assert alone.brier.to_dict() == {"value": round(alone.brier.value, 6), "interval_95": None}
