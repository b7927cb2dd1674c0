"""Both directions of a set with two splits: each of them once the support, and once what is classified."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mvrec_edge.calib.evaluation.head_result import HeadResult
from mvrec_edge.calib.evaluation.paired_difference import PairedDifference, differences_from_first, mean_difference
from mvrec_edge.calib.evaluation.shot_counts import Shots

__all__ = ["BACKWARD", "FORWARD", "MEAN", "Direction", "DirectionMean", "DirectionMeans", "direction"]

#: Shots of the support, and its queries classified.
FORWARD = "support to query"
#: Shots of the queries, and the support classified.
BACKWARD = "query to support"
#: Both together.
MEAN = "mean of both directions"


@dataclass(frozen=True)
class Direction:
    """What was found in one direction.

    Attributes:
        name: `FORWARD` or `BACKWARD`.
        heads: One result for each number of shots and head, in that order.
        differences: Every head against the first, for each number of shots.
    """

    name: str
    heads: tuple[HeadResult, ...]
    differences: tuple[PairedDifference, ...]


@dataclass(frozen=True)
class DirectionMean:
    """One head at one number of shots, as the mean of both directions.

    The standard errors are `sqrt(a^2 + b^2) / 2` of those of the directions, as of independent measurements: their
    queries are different defects.

    Attributes:
        head: Its name.
        shots: Instances for each class.
        mean: Mean accuracy, 0 to 1.
        over_draws: Its standard error over draws; NaN for a single draw.
        over_queries: Its standard error over queries; NaN where the queries of a direction are on one image.
        log_loss: Mean log-loss.
        brier: Mean Brier score.
        calibration_error: Mean expected calibration error.
        draws: Draws of each direction.
        queries: Queries of both directions together.
    """

    head: str
    shots: Shots
    mean: float
    over_draws: float
    over_queries: float
    log_loss: float
    brier: float
    calibration_error: float
    draws: int
    queries: int

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types."""
        return {
            "direction": MEAN,
            "head": self.head,
            "shots": self.shots if isinstance(self.shots, int) else str(self.shots),
            "accuracy": round(self.mean, 6),
            "standard_error_draws": None if math.isnan(self.over_draws) else round(self.over_draws, 6),
            "standard_error_queries": None if math.isnan(self.over_queries) else round(self.over_queries, 6),
            "log_loss": round(self.log_loss, 6),
            "brier": round(self.brier, 6),
            "calibration_error": round(self.calibration_error, 6),
            "queries": self.queries,
        }


@dataclass(frozen=True)
class DirectionMeans:
    """The mean of both directions, each of which weighs alike however many queries it has.

    Attributes:
        heads: The mean for each number of shots and head, in that order.
        differences: The mean difference of every head from the first, for each number of shots.
    """

    heads: tuple[DirectionMean, ...]
    differences: tuple[PairedDifference, ...]

    @classmethod
    def of(cls, one: Direction, other: Direction) -> DirectionMeans:
        """The mean of two directions with the same heads and numbers of shots."""
        pairs = zip(one.differences, other.differences, strict=True)
        return cls(
            tuple(_mean(*pair) for pair in zip(one.heads, other.heads, strict=True)),
            tuple(mean_difference(*pair) for pair in pairs),
        )


def direction(name: str, results: Sequence[HeadResult]) -> Direction:
    """A direction with the differences between its heads.

    Args:
        name: `FORWARD` or `BACKWARD`.
        results: What `evaluate_heads` returned.
    """
    return Direction(name, tuple(results), tuple(differences_from_first(results)))


def _mean(one: HeadResult, other: HeadResult) -> DirectionMean:
    measures = [each.probabilities for each in (one, other)]
    return DirectionMean(
        head=one.head,
        shots=one.shots,
        mean=(one.mean + other.mean) / 2,
        over_draws=math.hypot(one.over_draws, other.over_draws) / 2,
        over_queries=math.hypot(one.over_queries, other.over_queries) / 2,
        log_loss=sum(each.log_loss.value for each in measures) / 2,
        brier=sum(each.brier.value for each in measures) / 2,
        calibration_error=sum(each.calibration_error.value for each in measures) / 2,
        draws=min(len(one.accuracies), len(other.accuracies)),
        queries=one.overall.queries + other.overall.queries,
    )
