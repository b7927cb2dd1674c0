"""Open-set recognition: how unlike all known classes a region is, and from where on it counts as unknown."""

from __future__ import annotations

from mvrec_edge.runtime.novelty.distances import left_out_distances
from mvrec_edge.runtime.novelty.scorer import Novelty, NoveltyScorer
from mvrec_edge.runtime.novelty.thresholds import ClassLimit, KnownDistances, NoveltyLimits
from mvrec_edge.runtime.novelty.whitened_measures import left_out_measures

__all__ = [
    "ClassLimit",
    "KnownDistances",
    "Novelty",
    "NoveltyLimits",
    "NoveltyScorer",
    "left_out_distances",
    "left_out_measures",
]
