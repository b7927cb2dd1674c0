"""Where values lie along an axis, and at which of them a reader finds a number."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["LogAxis", "ticks"]

_FEWEST, _MOST = 3, 12


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two values on a logarithmic axis, at least three of them.

    1, 2 and 5 times powers of ten; powers alone where those are many, and equal steps where they are few, as between
    6.1 and 7.4.

    Args:
        low: The smallest value, > 0.
        high: The largest value, > low.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1,)):
        inside = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if _FEWEST <= len(inside) <= _MOST:
            return inside
    return _equal_steps(low, high)


def _equal_steps(low: float, high: float) -> list[float]:
    step = 10.0 ** math.floor(math.log10(high - low))
    while (high - low) / step < _FEWEST + 1:
        # 1, 0.5, 0.2, 0.1: the leading digit is 1, 5 or 2.
        step /= 2 if not f"{step:e}".startswith("5") else 2.5
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis.

    Attributes:
        low: The value at its beginning, > 0.
        high: The value at its end, > low.
        first: Where it begins, in pixels.
        last: Where it ends.
    """

    low: float
    high: float
    first: float
    last: float

    def place(self, value: float) -> float:
        """Where a value lies, in pixels."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self) -> list[float]:
        """The values that are named; see `ticks`."""
        return ticks(self.low, self.high)
