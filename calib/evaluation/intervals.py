"""What so few queries leave open: the interval of a share."""

from __future__ import annotations

import math

__all__ = ["wilson_interval"]

# The 97.5% quantile of the normal distribution.
_Z = 1.959963984540054


def wilson_interval(right: float, count: int) -> tuple[float, float]:
    """The 95% interval of a share by Wilson's score (1927), which also holds for few and for none or all right.

    Args:
        right: How many are right, 0 to `count`; a fraction where it is a share of repeated answers.
        count: How many there are.

    Returns:
        Lowest and highest share, 0 to 1; `(0, 1)` where there are none.
    """
    if not count:
        return 0.0, 1.0
    share, square = right / count, _Z * _Z / count
    middle = (share + square / 2) / (1 + square)
    half = _Z * math.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)
