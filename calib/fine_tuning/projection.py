"""The projection that is trained, and the way back through it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.support.cache import Adapter

__all__ = ["Projection"]

_Array = npt.NDArray[np.float32]

# Numbers of one array that are worked on at a time: with those of the others they stay in a core's own cache.
_BLOCK = 1 << 16


class Projection:
    """`Z(x) = SiLU(x W^T + b) + x` and `u = Z / |Z|` of some rows.

    A training computes it hundreds of times, so its results lie in the same memory each time, and what is done number
    by number is done for one block of rows after the other. The numbers are the same as without blocks.

    Args:
        count: Number of rows.
        channels: C.

    Attributes:
        projected: `Z`, float32 `[count, C]`, of the last `project`.
        unit: `u`, float32 `[count, C]`.
    """

    def __init__(self, count: int, channels: int) -> None:
        self.projected, self.unit, self._inner, self._sigmoid, self._room = (
            np.empty((count, channels), np.float32) for _ in range(5)
        )
        self._length = np.empty((count, 1), np.float32)
        rows = max(1, _BLOCK // channels)
        self._blocks = [slice(start, start + rows) for start in range(0, count, rows)]

    def project(self, rows: _Array, adapter: Adapter) -> None:
        """Computes both.

        Args:
            rows: float32 `[count, C]`.
            adapter: W and b.
        """
        np.matmul(rows, adapter.weight.T, out=self._inner)
        for block in self._blocks:
            inner, sigmoid, projected = self._inner[block], self._sigmoid[block], self.projected[block]
            inner += adapter.bias
            np.negative(inner, out=sigmoid)
            with np.errstate(over="ignore"):
                np.exp(sigmoid, out=sigmoid)
            sigmoid += 1
            np.divide(1, sigmoid, out=sigmoid)
            np.multiply(inner, sigmoid, out=projected)
            projected += rows[block]
            self._length[block] = np.linalg.norm(projected, axis=1, keepdims=True)
            np.divide(projected, self._length[block], out=self.unit[block])

    def back_from_unit(self, by_unit: _Array) -> None:
        """Turns the derivative by `u` into that by `Z`.

        Args:
            by_unit: float32 `[count, C]`; changed in place.
        """
        for block in self._blocks:
            unit, room, changed = self.unit[block], self._room[block], by_unit[block]
            np.multiply(unit, np.einsum("rc,rc->r", changed, unit)[:, None], out=room)
            changed -= room
            changed /= self._length[block]

    def back_to_inner(self, by_projected: _Array) -> _Array:
        """Turns the derivative by `Z` into that by `x W^T + b`.

        Args:
            by_projected: float32 `[count, C]`.

        Returns:
            float32 `[count, C]`, good until the next call.
        """
        for block in self._blocks:
            slope, sigmoid = self._room[block], self._sigmoid[block]
            np.subtract(1, sigmoid, out=slope)
            slope *= self._inner[block]
            slope += 1
            slope *= sigmoid
            slope *= by_projected[block]
        return self._room
