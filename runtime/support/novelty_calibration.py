"""What calibration stores in a support cache so that regions can be called unknown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import SupportError, UsageError
from mvrec_edge.runtime.support.reject_rate import check_rate

__all__ = ["NoveltyCalibration", "check_novelty"]


@dataclass(frozen=True)
class NoveltyCalibration:
    """How far known defects lie from one another.

    Attributes:
        left_out: float32 `[NK]`, as `left_out_distances` gives them for all views: 0 to 2, NaN for an instance
            without which its class keeps none of another image.
        reject_rate: Wanted share of known defects that are called unknown; None to call nothing unknown.
    """

    left_out: npt.NDArray[np.float32]
    reject_rate: float | None = None


def check_novelty(novelty: NoveltyCalibration | None, can_be_left_out: npt.NDArray[np.bool_]) -> None:
    """Refuses a calibration that does not belong to a support.

    Args:
        novelty: The calibration.
        can_be_left_out: bool `[NK]`, which of the support's instances can be left out.

    Raises:
        SupportError: A value has another type, shape or range.
    """
    if novelty is None:
        return
    values = novelty.left_out
    if values.dtype != np.float32 or values.shape != can_be_left_out.shape:
        raise SupportError(f"the left-out distances must be float32 [{len(can_be_left_out)}]")
    measured = values[can_be_left_out]
    if not np.isnan(values[~can_be_left_out]).all() or not ((measured >= 0) & (measured <= 2)).all():
        raise SupportError(
            "the left-out distances must be from 0 to 2, and none for a class's only instance or only image"
        )
    if novelty.reject_rate is not None:
        try:
            check_rate(novelty.reject_rate)
        except UsageError as error:
            raise SupportError(error.what) from error
