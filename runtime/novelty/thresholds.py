"""From left-out distances to limits: how far is usual for a class, and what is too far at a false-reject rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads.student import student_quantile
from mvrec_edge.runtime.support.reject_rate import check_rate

__all__ = ["ENOUGH", "ClassLimit", "KnownDistances", "NoveltyLimits"]

#: From so many left-out instances on, a class has a limit of its own.
ENOUGH = 20

# A class's mean left-out distance is drawn towards that of all instances, as if it had so many instances more of those.
_SHRINKAGE = 2.0


@dataclass(frozen=True)
class KnownDistances:
    """What left-out instances say about distances of known defects.

    Attributes:
        distances: float64 `[N]`, the usual distance of each class: its left-out mean, drawn towards that of all
            instances with the weight of two instances. 0 where nothing could be left out.
        residuals: float64 `[H]`, left-out distances less the usual distance of their class.
        labels: int64 `[H]`, their classes.
        degrees: Degrees of freedom of `spread`: H less the classes that have left-out instances; 0 where H is 0.
        spread: Standard deviation of the residuals at these degrees of freedom.
    """

    distances: npt.NDArray[np.float64]
    residuals: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    degrees: int
    spread: float

    @classmethod
    def of(cls, left_out: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], classes: int) -> KnownDistances:
        """Summarises left-out distances.

        Args:
            left_out: float `[NK]`, as `left_out_distances` gives them: NaN where an instance cannot be left out.
            labels: int `[NK]`.
            classes: Number of classes N.
        """
        usable = np.isfinite(left_out)
        # Sorted, so that sums do not depend on the order of the support to the last bit.
        order = np.lexsort((left_out[usable], labels[usable]))
        values = left_out[usable][order].astype(np.float64)
        kept = labels[usable][order].astype(np.int64)
        if not len(values):
            return cls(np.zeros(classes), values, kept, 0, 0.0)
        counts = np.bincount(kept, minlength=classes)
        sums = np.bincount(kept, weights=values, minlength=classes)
        means = (sums + _SHRINKAGE * np.sort(values).mean()) / (counts + _SHRINKAGE)
        residuals = values - means[kept]
        degrees = len(values) - int((counts > 0).sum())
        return cls(means, residuals, kept, degrees, float(np.sqrt((np.sort(residuals**2)).sum() / degrees)))

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


def _limit(known: KnownDistances, place: int, rate: float, pooled: float) -> ClassLimit:
    residuals = np.sort(known.residuals[known.labels == place])
    if len(residuals) < ENOUGH:
        return ClassLimit(pooled, own=False)
    # Rounded first: 20 * 0.95 is a hair above 19 in binary.
    rank = math.ceil(round((len(residuals) + 1) * (1 - rate), 9))
    if rank > len(residuals):
        return ClassLimit(max(float(residuals[-1]), pooled), own=True)
    return ClassLimit(float(residuals[rank - 1]), own=True)
