"""How far a mean over draws and queries may be from that of other draws, and from that of other queries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["error_over_draws", "error_over_queries", "sums_by_image"]

_Floats = npt.NDArray[np.float64]


def error_over_draws(of_draws: npt.ArrayLike) -> float:
    """Standard error of a mean over draws, `s / sqrt(D)`.

    `s` is the sample standard deviation of the D values (divided by D - 1). It is what another set of as many draws
    from the same labelled instances would change. Draws share instances, so it knows nothing of other instances.

    Args:
        of_draws: The figure of each draw, `[D]`.

    Returns:
        In the unit of the values; NaN for a single draw.
    """
    values = np.asarray(of_draws, np.float64)
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def error_over_queries(
    values: _Floats | npt.NDArray[np.bool_], weights: _Floats, images: npt.NDArray[np.int64]
) -> float:
    """Standard error of a weighted mean over queries, clustered by image.

    All draws ask the same queries, so the answers to a query are taken together first. With the weights `w_dq` and
    values `x_dq` of draw d and query q, each query weighs `W_q = sum_d w_dq` and has the mean
    `m_q = sum_d w_dq x_dq / W_q`; the mean of all is `A = sum_q W_q m_q / W`, `W = sum_q W_q`. Queries of one image are
    not independent, so their deviations are summed before they are squared, as for a ratio estimator on a sample of
    clusters (Cochran 1977, section 9A.1). With G images:

    `r_g = sum_(q in g) W_q (m_q - A)`, `SE = sqrt(G / (G - 1) * sum_g r_g^2) / W`.

    With one query on each image and equal weights this is `std(m_q) / sqrt(Q)`, the sample standard deviation of the
    queries' means. Where no answer is wrong it is 0, which is too sure for few queries; `wilson_interval` is not.

    Args:
        values: `[D, Q]`, such as whether an answer is right.
        weights: float64 `[D, Q]`, 0 where a draw does not ask; `Answers.weights`.
        images: int64 `[Q]`, equal for queries of one image.

    Returns:
        In the unit of the values; NaN where all queries are on one image.
    """
    total = weights.sum(axis=0)
    weighted = (weights * values).sum(axis=0)
    mean = weighted.sum() / total.sum()
    residuals = sums_by_image(weighted - mean * total, total, images)
    count = len(residuals)
    if count < 2:
        return float("nan")
    return float(np.sqrt(count / (count - 1) * np.square(residuals).sum()) / total.sum())


def sums_by_image(values: _Floats, weights: _Floats, images: npt.NDArray[np.int64]) -> _Floats:
    """Sums over the queries of each image that is asked about.

    Args:
        values: float64 `[Q]` or `[Q, K]`.
        weights: float64 `[Q]`; queries of weight 0 are left out.
        images: int64 `[Q]`.

    Returns:
        float64 `[G]` or `[G, K]`, for each of the G images.
    """
    asked = weights > 0
    names, places = np.unique(images[asked], return_inverse=True)
    sums = np.zeros((len(names), *values.shape[1:]))
    np.add.at(sums, places, values[asked])
    return sums
