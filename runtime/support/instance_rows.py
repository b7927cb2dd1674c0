"""What a support cache holds of each instance, chosen and joined alike whether array, tuple or missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Rows", "join_rows", "take_rows"]

#: `[NK, ...]` or a tuple of NK; an empty tuple where no instance has any.
Rows = npt.NDArray[Any] | tuple[Any, ...]


def take_rows(rows: Rows, indices: npt.NDArray[np.integer]) -> Any:
    """The rows at some places, in that order."""
    if isinstance(rows, np.ndarray):
        return rows[indices]
    return tuple(rows[index] for index in indices) if rows else ()


def join_rows(first: Rows, second: Rows, counts: tuple[int, int], missing: Any) -> Any:
    """The rows of the first and then those of the second.

    Args:
        first: Rows of some instances.
        second: Rows of others.
        counts: How many instances each has.
        missing: What stands for an instance that has none, where others do.
    """
    if isinstance(first, np.ndarray):
        return np.concatenate([first, np.asarray(second, first.dtype)])
    if not first and not second:
        return ()
    return (*(first or (missing,) * counts[0]), *(second or (missing,) * counts[1]))
