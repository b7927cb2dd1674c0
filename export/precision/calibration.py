"""The views that an int8 graph is calibrated on, and that every precision is judged by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.bundle import LabelRecord

__all__ = ["CALIBRATION_VIEWS", "Calibration"]

#: What the certificate calls a user's own views.
CALIBRATION_VIEWS = "calibration views"

#: Compares the decisions on two sets of embeddings `[I, V, C]`: the module's and a graph's.
CompareDecisions = Callable[[npt.NDArray[Any], npt.NDArray[Any]], LabelRecord]


@dataclass(frozen=True)
class Calibration:
    """A user's labelled views.

    Attributes:
        views: uint8 `[I, V, S, S, 4]`, V views of I instances, all of one plan.
        compare: Compares the decisions on two sets of their embeddings; None where there are no labels.
    """

    views: npt.NDArray[np.uint8]
    compare: CompareDecisions | None = None

    @property
    def flat(self) -> npt.NDArray[np.uint8]:
        """All views in a row, uint8 `[I * V, S, S, 4]`."""
        return self.views.reshape(-1, *self.views.shape[2:])
