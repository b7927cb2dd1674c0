"""The novelty of regions against a support cache."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.novelty.distances import ClassDistances, chosen_views, left_out_distances
from mvrec_edge.runtime.novelty.thresholds import KnownDistances, NoveltyLimits
from mvrec_edge.runtime.novelty.whitened_measures import WhitenedMeasures, left_out_measures
from mvrec_edge.runtime.support.whitening import Whitening

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
        score: The excess of the distance to the nearest class over that class's usual distance, and both whitened
            measures, each in standard deviations of what left-out instances have, and added; around 0 for a known
            defect. With a cache that holds distances alone, the plain excess, up to 2; with a single instance in every
            class nothing is usual, and it is the plain distance.
        nearest: The class of the smallest excess.
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
        known: What is known of known defects, all views.
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
        classes, whitened = len(cache.class_names), cache.novelty.left_out_whitened
        self.known = KnownDistances.of(cache.novelty.left_out, cache.labels, classes, whitened)
        if reject_rate is not None and not self.known.measured:
            raise UsageError(
                "every class of the support cache has a single instance, or all of them on one image, so the distances "
                "between known defects were not measured",
                fix="calibrate with instances of a class on at least two images, or leave out the reject rate",
            )
        self.limits = self._limits(self.known)
        everything = ClassDistances(cache.embeddings, cache.labels, classes)
        measures = WhitenedMeasures(cache.whitening) if self.known.scales else None
        self._all_views = _Measuring(everything, measures, self.known, self.limits)
        self._view_sets: OrderedDict[tuple[int, ...], _Measuring] = OrderedDict()

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
        measuring = self._all_views if named is None else self._for(named)
        known, limits = measuring.known, measuring.limits
        distances = measuring.distances.to_classes(embeddings)
        whitened = None if measuring.whitened is None else measuring.whitened(embeddings)
        spread = max(known.spread, _SMALLEST_SPREAD)
        return [
            Novelty(
                float(score),
                self._cache.class_names[place],
                limits.classes[place].limit if limits is not None and limits.classes else None,
                float(score) / spread if known.measured else None,
            )
            for place, score in zip(*known.novelty(distances, whitened), strict=True)
        ]

    def _limits(self, known: KnownDistances) -> NoveltyLimits | None:
        return None if self.reject_rate is None else NoveltyLimits.at(self.reject_rate, known)

    def _for(self, views: tuple[int, ...]) -> _Measuring:
        """What belongs to a set of views, in the order given, computed when it is first met."""
        if views not in self._view_sets:
            cache, classes, whitened, measures = self._cache, len(self._cache.class_names), None, None
            distances = ClassDistances(cache.embeddings, cache.labels, classes, views)
            left_out = left_out_distances(cache.embeddings, cache.labels, views, cache.image_groups)
            if self.known.scales:
                whitening = Whitening(chosen_views(cache.embeddings, views), cache.labels, classes)
                whitened = left_out_measures(whitening, cache.image_groups, cache.can_be_left_out)
                measures = WhitenedMeasures(whitening)
            known = KnownDistances.of(left_out, cache.labels, classes, whitened)
            self._view_sets[views] = _Measuring(distances, measures, known, self._limits(known))
            if len(self._view_sets) > _MOST_VIEW_SETS:
                self._view_sets.popitem(last=False)
        return self._view_sets[views]


@dataclass(frozen=True)
class _Measuring:
    """What regions with the same views are measured by.

    Attributes:
        distances: To the classes.
        whitened: The measures in the whitened metric; None where the cache holds distances alone.
        known: What is known of known defects.
        limits: The limits; None without a rate.
    """

    distances: ClassDistances
    whitened: WhitenedMeasures | None
    known: KnownDistances
    limits: NoveltyLimits | None
