"""From left-out distances to limits: how far is usual for a class, and what is too far at a false-reject rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads.student import student_quantile
from mvrec_edge.runtime.support.reject_rate import check_rate

__all__ = ["ENOUGH", "ClassLimit", "KnownDistances", "NoveltyLimits", "Scale"]

#: From so many left-out instances on, a class has a limit of its own.
ENOUGH = 20

# A class's mean left-out distance is drawn towards that of all instances, as if it had so many instances more of those.
_SHRINKAGE = 2.0
# A spread that is zero (twins in the support) must not divide.
_SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True)
class Scale:
    """What is usual of a measure, and how far it spreads, so that several can be added.

    Attributes:
        usual: Its mean over left-out instances.
        spread: Its standard deviation over them, above 0.
    """

    usual: float
    spread: float

    def standardise(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Values in standard deviations from what is usual, float64 of the same shape."""
        result: npt.NDArray[np.float64] = (values.astype(np.float64) - self.usual) / self.spread
        return result


@dataclass(frozen=True)
class KnownDistances:
    """What left-out instances say about known defects.

    The excess of a region over a class is its distance to the class less the usual distance of the class. The novelty
    is the smallest excess over the classes or, where the whitened measures are known as well, the sum of that and of
    both measures, each standardised by its left-out values.

    Attributes:
        distances: float64 `[N]`, the usual distance of each class: its left-out mean, drawn towards that of all
            instances with the weight of two instances. 0 where nothing could be left out.
        residuals: float64 `[H]`, the novelty of left-out instances, the excess over their own class in it.
        labels: int64 `[H]`, their classes.
        degrees: Degrees of freedom of `spread`: H less the classes that have left-out instances; 0 where H is 0.
        spread: Standard deviation of the residuals at these degrees of freedom.
        scales: Of the excess and of each whitened measure; empty where the novelty is the excess alone.
    """

    distances: npt.NDArray[np.float64]
    residuals: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    degrees: int
    spread: float
    scales: tuple[Scale, ...] = ()

    @classmethod
    def of(
        cls,
        left_out: npt.NDArray[np.floating],
        labels: npt.NDArray[np.integer],
        classes: int,
        whitened: npt.NDArray[np.floating] | None = None,
    ) -> KnownDistances:
        """Summarises left-out distances.

        Args:
            left_out: float `[NK]`, as `left_out_distances` gives them: NaN where an instance cannot be left out.
            labels: int `[NK]`.
            classes: Number of classes N.
            whitened: float `[NK, 2]`, as `left_out_measures` gives them; None to go by the distances alone.
        """
        usable = np.isfinite(left_out)
        # Sorted, so that sums do not depend on the order of the support to the last bit.
        order = np.flatnonzero(usable)[np.lexsort((left_out[usable], labels[usable]))]
        values = left_out[order].astype(np.float64)
        kept = labels[order].astype(np.int64)
        if not len(values):
            return cls(np.zeros(classes), values, kept, 0, 0.0)
        counts = np.bincount(kept, minlength=classes)
        sums = np.bincount(kept, weights=values, minlength=classes)
        means = (sums + _SHRINKAGE * np.sort(values).mean()) / (counts + _SHRINKAGE)
        residuals = values - means[kept]
        degrees, spread = _spread(residuals, kept)
        measured = np.zeros(len(order), np.bool_) if whitened is None else np.isfinite(whitened[order]).all(axis=1)
        if whitened is None or measured.sum() <= len(np.unique(kept[measured])):
            return cls(means, residuals, kept, degrees, spread)
        parts, kept = whitened[order][measured], kept[measured]
        # The excess stays about the usual distances, whose spread knows how many of these were estimated.
        scales = (Scale(0.0, max(spread, _SMALLEST_SPREAD)), *(_scale(column) for column in parts.T))
        residuals = _sum(scales, residuals[measured], parts)
        return cls(means, residuals, kept, *_spread(residuals, kept), scales)

    def novelty(
        self, distances: npt.NDArray[np.floating], whitened: npt.NDArray[np.floating] | None = None
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """The nearest class and the novelty of regions.

        Args:
            distances: float `[M, N]`, to each class.
            whitened: float `[M, 2]`, the whitened measures; needed where there are `scales`.

        Returns:
            int `[M]`, the class of the smallest excess, and float64 `[M]`.
        """
        excess = distances - self.distances
        nearest = excess.argmin(axis=1)
        smallest = excess[np.arange(len(excess)), nearest]
        if not self.scales or whitened is None:
            return nearest, smallest
        return nearest, _sum(self.scales, smallest, whitened)

    @property
    def measured(self) -> bool:
        """Whether any instance could be left out; without, there is no limit."""
        return self.degrees > 0

    def count(self, place: int) -> int:
        """Left-out instances of a class."""
        return int((self.labels == place).sum())


@dataclass(frozen=True)
class ClassLimit:
    """The limit of one class.

    Attributes:
        limit: The largest novelty that counts as known.
        own: Whether it was taken from the class's own left-out instances; else from those of all classes.
    """

    limit: float
    own: bool


@dataclass(frozen=True)
class NoveltyLimits:
    """The limits of all classes at one rate.

    A class with `ENOUGH` left-out instances takes the order statistic of its own residuals that split conformal
    prediction takes: the `ceil((n + 1) (1 - rate))`-th smallest. Where a rate is finer than n instances can show, it
    is the larger of their largest and the pooled limit.

    Any other class takes the pooled limit: the upper prediction limit of a normal variable whose spread was estimated
    from all H left-out instances, `t(1 - rate; degrees) * spread * sqrt(1 + 1 / H)`. Student's t and the root are the
    correction for few instances.

    Attributes:
        rate: The wanted share of known defects that are called unknown.
        classes: One limit for each class; empty where nothing could be left out.
    """

    rate: float
    classes: tuple[ClassLimit, ...]

    @classmethod
    def at(cls, rate: float, known: KnownDistances) -> NoveltyLimits:
        """Computes the limits.

        Raises:
            UsageError: The rate is outside 0.001% to 50%.
        """
        check_rate(rate)
        if not known.measured:
            return cls(rate, ())
        count = len(known.residuals)
        pooled = student_quantile(1 - rate, known.degrees) * known.spread * math.sqrt(1 + 1 / count)
        return cls(rate, tuple(_limit(known, place, rate, pooled) for place in range(len(known.distances))))


def _sum(
    scales: tuple[Scale, ...], excess: npt.NDArray[np.floating], whitened: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """The excess and the whitened measures, standardised and added, `[M]` and `[M, 2]` to float64 `[M]`."""
    total = scales[0].standardise(excess)
    for scale, column in zip(scales[1:], whitened.T, strict=True):
        total = total + scale.standardise(column)
    return total


def _scale(values: npt.NDArray[np.floating]) -> Scale:
    ordered = np.sort(values.astype(np.float64))
    return Scale(float(ordered.mean()), max(float(ordered.std(ddof=1)), _SMALLEST_SPREAD))


def _spread(residuals: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> tuple[int, float]:
    """Degrees of freedom of residuals about what is usual of each class, and their standard deviation."""
    degrees = len(residuals) - len(np.unique(labels))
    return degrees, float(np.sqrt(np.sort(residuals**2).sum() / degrees))


def _limit(known: KnownDistances, place: int, rate: float, pooled: float) -> ClassLimit:
    residuals = np.sort(known.residuals[known.labels == place])
    if len(residuals) < ENOUGH:
        return ClassLimit(pooled, own=False)
    # Rounded first: 20 * 0.95 is a hair above 19 in binary.
    rank = math.ceil(round((len(residuals) + 1) * (1 - rate), 9))
    if rank > len(residuals):
        return ClassLimit(max(float(residuals[-1]), pooled), own=True)
    return ClassLimit(float(residuals[rank - 1]), own=True)
