"""Lets values of numpy in a checkpoint's pickle be stepped over, without calling anything of numpy.

Training scripts put accuracies and loss curves beside the weights, and these are often numpy's. What a pickle says of
them is handed to a stand-in that keeps nothing, so numpy's own unpickling is never reached, whatever a forged
description of a type says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["NUMPY_STAND_INS", "NumpyValue"]


class NumpyValue:
    """Stands for a scalar, an array or a data type of numpy; it holds nothing."""

    def __init__(self, *_described: object) -> None:
        """Takes what a pickle says of the value, and keeps none of it."""

    def __setstate__(self, _state: object) -> None:
        """Takes the rest of it."""


# numpy 2 moved `numpy.core`; files of both are about.
_NAMES = (
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy.ndarray", "numpy.dtype"),
)

#: What `torch.serialization.safe_globals` takes: the stand-in by every name that a pickle may ask for.
NUMPY_STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [(NumpyValue, name) for name in _NAMES]
