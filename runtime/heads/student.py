"""Student's t distribution: how far a spread that was estimated from a few values may reach."""

from __future__ import annotations

import functools
import math
from statistics import NormalDist
from typing import TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["student_cdf", "student_quantile", "student_tail"]

# Beyond, the normal distribution is nearer than 1e-3 for any quantile that is asked for here.
_AS_NORMAL = 2000

_Number = TypeVar("_Number", float, npt.NDArray[np.float64])


def student_tail(values: npt.ArrayLike, degrees: int) -> npt.NDArray[np.float64]:
    """Probability that a t-distributed value lies above `values`.

    The rounding error is below 1e-14, so nothing smaller than that is meant.

    Args:
        values: Any shape.
        degrees: Degrees of freedom, at least 1.

    Returns:
        float64 of the same shape, 0 to 1.
    """
    angle = np.arctan(np.asarray(values, np.float64) / math.sqrt(degrees))
    between = _between(angle, np.cos(angle), np.sin(angle), degrees)
    return np.asarray(np.clip((1 - between) / 2, 0.0, 1.0), np.float64)


def student_cdf(value: float, degrees: int) -> float:
    """Probability of a t-distributed value up to `value`, a number; `student_tail` takes arrays.

    Args:
        value: Any finite number.
        degrees: Degrees of freedom, at least 1.
    """
    angle = math.atan2(value, math.sqrt(degrees))
    return 0.5 * (1 + _between(angle, math.cos(angle), math.sin(angle), degrees))


def _between(angle: _Number, cosine: _Number, sine: _Number, degrees: int) -> _Number:
    """Probability of a value between `-t` and `t`, negative where t is (Abramowitz and Stegun 1964, 26.7.3, 26.7.4).

    Args:
        angle: `atan(t / sqrt(degrees))`.
        cosine: Its cosine.
        sine: Its sine.
        degrees: Degrees of freedom: the finite series for whole ones.
    """
    odd = degrees % 2 == 1
    if degrees == 1:
        return angle * (2 / math.pi)
    term = total = cosine if odd else cosine * 0 + 1
    for step in range(3 if odd else 2, degrees - 1, 2):
        term = term * ((step - 1) / step * cosine * cosine)
        total = total + term
    return (angle + sine * total) * (2 / math.pi) if odd else sine * total


@functools.cache
def student_quantile(probability: float, degrees: int) -> float:
    """The value that is not exceeded with a probability.

    Args:
        probability: Above 0, below 1.
        degrees: Degrees of freedom, at least 1.
    """
    if probability < 0.5:
        return -student_quantile(1 - probability, degrees)
    if degrees > _AS_NORMAL:
        return NormalDist().inv_cdf(probability)
    low, high = 0.0, 1.0
    while student_cdf(high, degrees) < probability:
        low, high = high, 2 * high
        if high > 1e12:
            return high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if student_cdf(middle, degrees) < probability else (low, middle)
    return high
