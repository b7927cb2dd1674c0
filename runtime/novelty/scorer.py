"""The novelty of regions against a support cache."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.novelty.distances import ClassDistances, left_out_distances
from mvrec_edge.runtime.novelty.thresholds import KnownDistances, NoveltyLimits

if TYPE_CHECKING:
    from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["Novelty", "NoveltyScorer"]

# Sets of views that are kept prepared; a schedule of views has only a few.
_MOST_VIEW_SETS = 8
_SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True)
class Novelty:
    """How unlike all known classes a region is.

    Attributes:
        score: The smallest, over the classes, of the distance to the class less the usual distance of the class's own
            instances; around 0 for a known defect, up to 2. With a single instance in every class nothing is usual,
            and it is the plain distance.
        nearest: The class of that smallest value.
        limit: The largest score that counts as known for that class; None without a rate or without left-out instances.
        deviations: `score` in standard deviations of the left-out instances; None where there are none.
    """

    score: float
    nearest: str
    limit: float | None
    deviations: float | None

    @property
    def unknown(self) -> bool | None:
        """Whether the region counts as unknown; None where there is no limit."""
        return None if self.limit is None else self.score > self.limit


class NoveltyScorer:
    """Scores regions against a support cache; which head the cache has does not matter.

    Args:
        cache: A support cache that calibration has measured left-out distances of.
        reject_rate: Wanted share of known defects that are called unknown; by default what the cache says, and where
            it says none, nothing is called unknown.

    Attributes:
        known: Distances of known defects, all views.
        limits: The limits with all views; None without a rate.

    Raises:
        UsageError: The cache has no left-out distances; or a rate is given, and it is outside 0.001% to 50% or every
            class has a single instance, or all of them on one image.
    """

    def __init__(self, cache: SupportCache, reject_rate: float | None = None) -> None:
        if cache.novelty is None:
            raise UsageError(
                "the support cache holds no distances between known defects, so no defect can be called 'unknown'",
                fix="calibrate again: mvrec-edge calibrate BUNDLE SUPPORT --reject-rate 5% --out NEW",
            )
        self._cache = cache
        self.reject_rate = cache.novelty.reject_rate if reject_rate is None else reject_rate
        self.known = KnownDistances.of(cache.novelty.left_out, cache.labels, len(cache.class_names))
        if reject_rate is not None and not self.known.measured:
            raise UsageError(
                "every class of the support cache has a single instance, or all of them on one image, so the distances "
                "between known defects were not measured",
                fix="calibrate with instances of a class on at least two images, or leave out the reject rate",
            )
        self.limits = self._limits(self.known)
        everything = ClassDistances(cache.embeddings, cache.labels, len(cache.class_names))
        self._all_views = (everything, self.known, self.limits)
        self._view_sets: OrderedDict[tuple[int, ...], tuple[ClassDistances, KnownDistances, NoveltyLimits | None]] = (
            OrderedDict()
        )

    def score(self, embeddings: npt.NDArray[np.floating], views: Sequence[int] | None = None) -> list[Novelty]:
        """Scores regions.

        Args:
            embeddings: `[M, P, C]`.
            views: Which P of the cache's V views these are, by their place in the view plan; by default all V. With
                fewer views everything, the limits included, is computed from the same views of the support, as if no
                others had ever been cut.

        Returns:
            One novelty for each region, in order.

        Raises:
            InputError: An embedding is not finite.
            UsageError: The shape or the views do not fit the cache.
        """
        named = None if views is None or list(views) == list(range(self._cache.embeddings.shape[1])) else tuple(views)
        distances, known, limits = self._all_views if named is None else self._for(named)
        excess = distances.to_classes(embeddings) - known.distances
        spread = max(known.spread, _SMALLEST_SPREAD)
        found = []
        for row in excess:
            place = int(row.argmin())
            score = float(row[place])
            found.append(
                Novelty(
                    score,
                    self._cache.class_names[place],
                    limits.classes[place].limit if limits is not None and limits.classes else None,
                    score / spread if known.measured else None,
                )
            )
        return found

    def _limits(self, known: KnownDistances) -> NoveltyLimits | None:
        return None if self.reject_rate is None else NoveltyLimits.at(self.reject_rate, known)

    def _for(self, views: tuple[int, ...]) -> tuple[ClassDistances, KnownDistances, NoveltyLimits | None]:
        """What belongs to a set of views, in the order given, computed when it is first met."""
        if views not in self._view_sets:
            cache, classes = self._cache, len(self._cache.class_names)
            distances = ClassDistances(cache.embeddings, cache.labels, classes, views)
            left_out = left_out_distances(cache.embeddings, cache.labels, views, cache.image_groups)
            known = KnownDistances.of(left_out, cache.labels, classes)
            self._view_sets[views] = (distances, known, self._limits(known))
            if len(self._view_sets) > _MOST_VIEW_SETS:
                self._view_sets.popitem(last=False)
        return self._view_sets[views]
