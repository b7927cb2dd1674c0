"""How far slopes run in one direction, from the structure tensor (Bigün and Granlund 1987)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Direction", "direction_of"]


@dataclass(frozen=True)
class Direction:
    """A direction without a sign, by its doubled angle, as long as the slopes agree.

    Attributes:
        cosine: Of the doubled angle, times the strength, -1 to 1.
        sine: The same of its sine.
    """

    cosine: float
    sine: float

    @property
    def strength(self) -> float:
        """0 where slopes have all directions alike, 1 where they have one."""
        return float(np.hypot(self.cosine, self.sine))


def direction_of(along: npt.NDArray[Any], across: npt.NDArray[Any], least: float) -> Direction:
    """The direction of slopes along x and y, arrays of one shape; energies below `least` count as none."""
    energy = float((along**2 + across**2).sum()) + least
    return Direction(float((along**2 - across**2).sum()) / energy, 2 * float((along * across).sum()) / energy)
