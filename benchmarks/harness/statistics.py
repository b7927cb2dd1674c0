"""Figures from times: latency, throughput, and ratios that a noisy machine does not spoil."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["latency", "median", "median_of_ratios"]


def latency(seconds: Sequence[float]) -> dict[str, float]:
    """Percentiles, mean and minimum in milliseconds.

    Between two times a percentile is interpolated; with fewer than 100 times `p99_ms` lies close to the largest.

    Args:
        seconds: At least one time.
    """
    values = np.asarray(seconds, np.float64) * 1e3
    p50, p90, p99 = np.percentile(values, [50, 90, 99])
    return {
        "p50_ms": float(p50),
        "p90_ms": float(p90),
        "p99_ms": float(p99),
        "mean_ms": float(values.mean()),
        "min_ms": float(values.min()),
    }


def median(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return statistics.median(values) if values else None


def median_of_ratios(
    numerators: Mapping[int, Sequence[float]], denominators: Mapping[int, Sequence[float]]
) -> float | None:
    """The median over rounds of the ratio of two medians taken in the same round.

    What slows the machine down for a while slows both down, and leaves their ratio alone.

    Args:
        numerators: Times by round.
        denominators: Times by round.

    Returns:
        The ratio; None where the two share no round.
    """
    shared = [number for number in numerators if numerators[number] and denominators.get(number)]
    return median([statistics.median(numerators[n]) / statistics.median(denominators[n]) for n in shared])
