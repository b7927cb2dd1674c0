"""Open-set recognition: how unlike all known classes a region is, and from where on it counts as unknown."""

from __future__ import annotations

from mvrec_edge.runtime.openset.calibration import NoveltyCalibration
from mvrec_edge.runtime.openset.distances import left_out_distances
from mvrec_edge.runtime.openset.scorer import Novelty, NoveltyScorer
from mvrec_edge.runtime.openset.thresholds import ClassLimit, Limits, Usual, parse_rate

__all__ = [
    "ClassLimit",
    "Limits",
    "Novelty",
    "NoveltyCalibration",
    "NoveltyScorer",
    "Usual",
    "left_out_distances",
    "parse_rate",
]
