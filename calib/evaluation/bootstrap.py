"""Intervals of figures that have no formula for one: the queries are drawn again, whole images at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["RESAMPLES", "bootstrap_interval", "resampled_sums"]

#: How often the images are drawn again: the ends of a 95% interval then have 50 samples beyond them.
RESAMPLES = 2000

# The same samples each time, so that a table comes out the same twice, and heads meet the same samples.
_SEED = 0
# Numbers drawn at once, 32 MB.
_AT_ONCE = 1 << 22

_Floats = npt.NDArray[np.float64]


def resampled_sums(sums: _Floats) -> _Floats:
    """Sums over images that are drawn anew, with replacement (Efron 1979).

    Args:
        sums: float64 `[G, K]`, for each image what is summed.

    Returns:
        float64 `[RESAMPLES, K]`, the sums over G images drawn from the G.
    """
    count = len(sums)
    generator = np.random.default_rng(_SEED)
    step = max(1, _AT_ONCE // count)
    found = np.empty((RESAMPLES, sums.shape[1]))
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        drawn = generator.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        found[start : start + rows] = times @ sums
    return found


def bootstrap_interval(
    sums: _Floats, figure: Callable[[_Floats], _Floats], samples: _Floats | None = None
) -> tuple[float, float]:
    """The 95% interval of a figure by percentiles of the bootstrap, widened to hold the figure itself.

    A figure that noise can only raise, such as a calibration error, is raised once more by drawing again, so all
    samples may lie above it; the upper end is then on the safe side.

    Args:
        sums: float64 `[G, K]`, for each image what is summed.
        figure: Makes the figure of sums, float64 `[R, K]` to `[R]`.
        samples: What `resampled_sums` gives of the sums, where it is there already.

    Returns:
        Its ends; NaN with a single image, which says nothing of others.
    """
    if len(sums) < 2:
        return float("nan"), float("nan")
    own = float(figure(sums.sum(axis=0)[None])[0])
    low, high = np.quantile(figure(resampled_sums(sums) if samples is None else samples), (0.025, 0.975))
    return min(float(low), own), max(float(high), own)
