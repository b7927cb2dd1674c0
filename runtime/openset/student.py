"""Student's t distribution, which the standard library lacks."""

from __future__ import annotations

import math
from statistics import NormalDist

__all__ = ["student_cdf", "student_quantile"]

# Beyond, the normal distribution is nearer than 1e-3 for any quantile that is asked for here.
_AS_NORMAL = 2000


def student_cdf(value: float, degrees: int) -> float:
    """The probability of a value up to `value`.

    The finite sums for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4).

    Args:
        value: Any finite number.
        degrees: Degrees of freedom, at least 1.
    """
    angle = math.atan2(value, math.sqrt(degrees))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = degrees % 2 == 1
    term, total = (cosine, 0.0) if odd else (1.0, 1.0)
    if odd and degrees > 1:
        total = term
    for step in range(3 if odd else 2, degrees - 1, 2):
        term *= (step - 1) / step * cosine * cosine
        total += term
    between = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return 0.5 * (1 + between)


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
