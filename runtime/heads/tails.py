"""Tails of Student's t distribution, which say how far a spread that was estimated from a few values may reach."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["student_tail"]


def student_tail(values: npt.ArrayLike, freedom: int) -> npt.NDArray[np.float64]:
    """Probability that a t-distributed value lies above `values`.

    The distribution function has a finite series for whole degrees of freedom (Abramowitz and Stegun 1964, 26.7.3 and
    26.7.4). Its rounding error is below 1e-14, so nothing smaller than that is meant.

    Args:
        values: Any shape.
        freedom: Degrees of freedom, at least 1.

    Returns:
        float64 of the same shape, 0 to 1.
    """
    values = np.asarray(values, np.float64)
    angle = np.arctan(values / math.sqrt(freedom))
    cosine, sine = np.cos(angle), np.sin(angle)
    term = np.ones_like(values) if freedom % 2 == 0 else cosine
    total = np.zeros_like(values)
    first = 2 if freedom % 2 == 0 else 3
    if freedom > 1:
        total = term.copy()
        for number in range(first, freedom - 1, 2):
            term = term * cosine**2 * ((number - 1) / number)
            total = total + term
    inside = sine * total if freedom % 2 == 0 else (angle + sine * total) * (2 / math.pi)
    return np.asarray(np.clip((1 - inside) / 2, 0.0, 1.0), np.float64)
