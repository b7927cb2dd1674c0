"""How good the probabilities of a head are: log-loss, Brier score, expected calibration error, reliability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.evaluation.answers import Answers
from mvrec_edge.calib.evaluation.bootstrap import bootstrap_interval, resampled_sums
from mvrec_edge.calib.evaluation.standard_errors import sums_by_image

__all__ = [
    "BINS",
    "SMALLEST_PROBABILITY",
    "Measured",
    "ProbabilityMeasures",
    "ReliabilityBin",
    "measure_probabilities",
]

#: Bins of equal width over 0 to 1, as for `calibration_error`.
BINS = 10

#: The floor of the log-loss, the epsilon of float32, as in scikit-learn: heads answer in float32, where a probability
#: next to 1 cannot say of the others that they are smaller than that. One wrong answer costs at most 15.94.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Measured:
    """A figure with the 95% interval that other queries leave open.

    Attributes:
        value: The figure, over all draws.
        interval: Lowest and highest; NaN where all queries are on one image.
    """

    value: float
    interval: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types."""
        known = not np.isnan(self.interval).any()
        return {
            "value": round(self.value, 6),
            "interval_95": [round(end, 6) for end in self.interval] if known else None,
        }


@dataclass(frozen=True)
class ReliabilityBin:
    """The answers whose stated probability is in one bin.

    Attributes:
        low: Lower end of the bin.
        high: Upper end, which belongs to the next bin (to the last bin itself).
        decisions: Answers in it, over all draws.
        stated: Mean stated probability; NaN without answers.
        right: Share of right answers; NaN without answers.
    """

    low: float
    high: float
    decisions: int
    stated: float
    right: float

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types."""
        return {
            "from": self.low,
            "to": self.high,
            "decisions": self.decisions,
            "stated": round(self.stated, 6) if self.decisions else None,
            "right": round(self.right, 6) if self.decisions else None,
        }


@dataclass(frozen=True)
class ProbabilityMeasures:
    """What the probabilities of a head are worth.

    Draws weigh alike. The intervals are by a bootstrap over images, or over queries where images are not known, with
    the draws as they are.

    Attributes:
        log_loss: Mean of `-ln p` for the probability p of the true class, 0 to 15.94; p is at least
            `SMALLEST_PROBABILITY`, and nothing else is smoothed.
        brier: Mean over the answers of the sum over the classes of `(probability - truth)^2` (Brier 1950), 0 to 2.
        calibration_error: Expected calibration error of the answers of all draws together, 0 to 1; see
            `mvrec_edge.calib.fitting.probabilities.calibration_error`.
        bins: The `BINS` bins of the calibration error.
    """

    log_loss: Measured
    brier: Measured
    calibration_error: Measured
    bins: tuple[ReliabilityBin, ...]

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types."""
        return {
            "log_loss": self.log_loss.to_dict(),
            "brier": self.brier.to_dict(),
            "calibration_error": self.calibration_error.to_dict(),
            "reliability": [each.to_dict() for each in self.bins],
        }


def measure_probabilities(answers: Answers) -> ProbabilityMeasures:
    """Measures the probabilities of one head at one number of shots.

    Every figure is made of sums over images, so a bootstrap sample is a product of how often each image was drawn with
    those sums. The calibration error is `sum_b |sum of (stated - right) in bin b| / sum of weights`, which for equal
    weights is `sum_b n_b / n |mean stated - accuracy|`.

    Args:
        answers: At least one.
    """
    weights = answers.weights
    losses = -np.log(np.maximum(answers.true_probability.astype(np.float64), SMALLEST_PROBABILITY))
    # `x / 10` in float32 as `calibration_error` has it, so that a probability at an end falls in the same bin.
    bins = np.where(answers.asked, np.minimum((answers.stated * BINS).astype(np.int64), BINS - 1), -1)
    gaps = weights * (answers.stated.astype(np.float64) - answers.right)
    columns = [weights, weights * losses, weights * answers.square, *(gaps * (bins == place) for place in range(BINS))]
    of_queries = np.stack([column.sum(axis=0) for column in columns], axis=1)
    sums = sums_by_image(of_queries, of_queries[:, 0], answers.images)
    samples = resampled_sums(sums)

    def mean(column: int) -> Measured:
        def figure(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            shares: npt.NDArray[np.float64] = rows[:, column] / rows[:, 0]
            return shares

        return _measured(sums, samples, figure)

    def error(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        shares: npt.NDArray[np.float64] = np.abs(rows[:, 3:]).sum(axis=1) / rows[:, 0]
        return shares

    return ProbabilityMeasures(mean(1), mean(2), _measured(sums, samples, error), _reliability(answers, bins))


def _measured(sums: npt.NDArray[np.float64], samples: npt.NDArray[np.float64], figure: Any) -> Measured:
    return Measured(float(figure(sums.sum(axis=0)[None])[0]), bootstrap_interval(sums, figure, samples))


def _reliability(answers: Answers, bins: npt.NDArray[np.int64]) -> tuple[ReliabilityBin, ...]:
    found = []
    for place in range(BINS):
        inside = bins == place
        weights = answers.weights[inside]
        stated, right = (
            float((weights * values[inside]).sum() / weights.sum()) if len(weights) else float("nan")
            for values in (answers.stated.astype(np.float64), answers.right)
        )
        found.append(ReliabilityBin(place / BINS, (place + 1) / BINS, len(weights), stated, right))
    return tuple(found)
