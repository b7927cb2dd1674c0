"""Whether two heads can be told apart: the difference of their accuracies on the same draws and the same queries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mvrec_edge.calib.evaluation.head_result import HeadResult
from mvrec_edge.calib.evaluation.shot_counts import Shots, shots_words
from mvrec_edge.calib.evaluation.standard_errors import error_over_draws, error_over_queries, sums_by_image
from mvrec_edge.runtime.heads.student import student_quantile

__all__ = ["PairedDifference", "differences_from_first", "mean_difference", "paired_difference"]

_DIGITS = 12


@dataclass(frozen=True)
class PairedDifference:
    """The accuracy of one head less that of another.

    The 95% interval is `difference ± t * sqrt(a^2 + b^2)`, with the standard errors of the paired differences over
    queries (`a`, clustered by image) and over draws (`b`), and the quantile t of Student's distribution. Its degrees of
    freedom are those of Welch and Satterthwaite, `(a^2 + b^2)^2 / (a^4 / (G - 1) + b^4 / (D - 1))` for G images and D
    draws.

    A t interval, and not a bootstrap of the queries: with 20 queries a bootstrap is too narrow, by the factor
    `sqrt((Q - 1) / Q)` and by taking the normal distribution's width; and it leaves the draws as they are, so heads
    that differ by the luck of five draws would be told apart. With the draws counted, what varies with draw and query
    at once is counted twice, which errs to the safe side. With a single draw the interval is that of the queries alone.

    Attributes:
        shots: Instances for each class.
        head: The one head.
        other: The head that it is compared with.
        draws: Draws that both have; of a head with more, the first ones are taken.
        difference: Accuracy of `head` less that of `other` in these draws, -1 to 1.
        over_draws: Standard error of the difference over draws; NaN for a single draw.
        over_queries: Standard error over queries; NaN where all queries are on one image.
        degrees: Degrees of freedom, at least 1.
    """

    shots: Shots
    head: str
    other: str
    draws: int
    difference: float
    over_draws: float
    over_queries: float
    degrees: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the difference, -1 to 1; NaN where all queries are on one image."""
        error = math.hypot(self.over_queries, 0.0 if math.isnan(self.over_draws) else self.over_draws)
        half = student_quantile(0.975, self.degrees) * error
        if math.isnan(half):
            return half, half
        return max(-1.0, self.difference - half), min(1.0, self.difference + half)

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves out 0."""
        low, high = self.interval
        return low > 0 or high < 0

    @property
    def sentence(self) -> str:
        """What it says, without a full stop: `1 shot: zip-c is better than auto by 2.1 points (0.3 to 3.9)`."""
        low, high = self.interval
        where = shots_words(self.shots)
        if self.told_apart:
            better, worse = (self.head, self.other) if self.difference > 0 else (self.other, self.head)
            ends = sorted((abs(low), abs(high)))
            size = f"{100 * abs(self.difference):.1f} points ({100 * ends[0]:.1f} to {100 * ends[1]:.1f})"
            return f"{where}: {better} is better than {worse} by {size}"
        unknown = f"{where}: {self.head} and {self.other} cannot be told apart"
        if math.isnan(low):
            return f"{unknown}, since all queries are on one image"
        if low == high:
            return f"{unknown}: both are right as often on every query"
        return f"{unknown} ({100 * self.difference:+.1f} points, {100 * low:.1f} to {100 * high:.1f})"

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types."""
        known = not math.isnan(self.over_queries)
        return {
            "shots": self.shots if isinstance(self.shots, int) else str(self.shots),
            "head": self.head,
            "other": self.other,
            "draws": self.draws,
            "difference": round(self.difference, 6),
            "interval_95": [round(end, 6) for end in self.interval] if known else None,
            "standard_error_draws": None if math.isnan(self.over_draws) else round(self.over_draws, 6),
            "standard_error_queries": round(self.over_queries, 6) if known else None,
            "told_apart": self.told_apart,
            "sentence": self.sentence,
        }


def paired_difference(result: HeadResult, other: HeadResult) -> PairedDifference:
    """Compares two heads on the draws that both have.

    Args:
        result: One head.
        other: The other, at the same number of shots, with the same queries in each draw.
    """
    draws = min(len(result.accuracies), len(other.accuracies))
    ours, theirs = (each.answers.first(draws) for each in (result, other))
    values = ours.right.astype(np.float64) - theirs.right
    weights = ours.weights
    of_draws = (weights * values).sum(axis=1)
    # A rounding error is no difference, and would be told apart from 0 where nothing else varies.
    difference, over_draws, over_queries = (
        round(value, _DIGITS)
        for value in (
            float(of_draws.mean()),
            error_over_draws(of_draws),
            error_over_queries(values, weights, ours.images),
        )
    )
    total = weights.sum(axis=0)
    images = len(sums_by_image(total, total, ours.images))
    degrees = _degrees([(over_queries, images - 1), (over_draws, draws - 1)])
    return PairedDifference(result.shots, result.head, other.head, draws, difference, over_draws, over_queries, degrees)


def differences_from_first(results: Sequence[HeadResult]) -> list[PairedDifference]:
    """Compares every head with the one that is named first, for each number of shots.

    With the first and not with the best: the best is found in the same figures, where it is partly best by luck, and an
    interval does not know of that. Which is named first is the reader's choice, made before.

    Args:
        results: What `evaluate_heads` returned.
    """
    first: dict[Shots, HeadResult] = {}
    for each in results:
        first.setdefault(each.shots, each)
    return [paired_difference(each, first[each.shots]) for each in results if each is not first[each.shots]]


def mean_difference(one: PairedDifference, other: PairedDifference) -> PairedDifference:
    """The mean of the differences in both directions of a set with two splits, as of two independent measurements.

    Args:
        one: Two heads at a number of shots, in one direction.
        other: The same in the other.
    """
    draws, queries = (
        math.hypot(*(getattr(each, name) for each in (one, other))) / 2 for name in ("over_draws", "over_queries")
    )
    parts = [(math.hypot(each.over_queries, _known(each.over_draws)), each.degrees) for each in (one, other)]
    return PairedDifference(
        one.shots,
        one.head,
        one.other,
        min(one.draws, other.draws),
        (one.difference + other.difference) / 2,
        draws,
        queries,
        _degrees(parts),
    )


def _known(error: float) -> float:
    return 0.0 if math.isnan(error) else error


def _degrees(parts: Sequence[tuple[float, int]]) -> int:
    """Degrees of freedom of a sum of independent parts by Welch and Satterthwaite, rounded down, at least 1.

    Args:
        parts: The standard error of each part and its degrees of freedom; one that is not known is left out.
    """
    known = [(error**2, count) for error, count in parts if not math.isnan(error) and count > 0]
    below = sum(square**2 / count for square, count in known)
    if below == 0:
        return max(1, max((count for _, count in known), default=1))
    # The quotient of whole degrees comes out a rounding error too small.
    return max(1, math.floor(sum(square for square, _ in known) ** 2 / below + 1e-9))
