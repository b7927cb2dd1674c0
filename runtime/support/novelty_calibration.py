"""What calibration stores in a support cache so that regions can be called unknown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import SupportError, UsageError
from mvrec_edge.runtime.support.reject_rate import check_rate

__all__ = ["NoveltyCalibration", "check_novelty"]

_FEWEST_MEASURED = 2
# The logarithm of what float32 can hold.
_LARGEST_LOGARITHM = 90.0


@dataclass(frozen=True)
class NoveltyCalibration:
    """How far known defects lie from one another.

    Attributes:
        left_out: float32 `[NK]`, as `left_out_distances` gives them for all views: 0 to 2, NaN for an instance
            without which its class keeps none of another image.
        reject_rate: Wanted share of known defects that are called unknown; None to call nothing unknown.
        left_out_whitened: float32 `[NK, 2]`, as `left_out_measures` gives them for all views: one minus a cosine, 0 to
            2, and the logarithm of a distance; NaN for an instance that was not measured. None in caches of earlier
            versions, and where no instance can be left out.
    """

    left_out: npt.NDArray[np.float32]
    reject_rate: float | None = None
    left_out_whitened: npt.NDArray[np.float32] | None = None


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
    if novelty.left_out_whitened is not None:
        _check_whitened(novelty.left_out_whitened, can_be_left_out)
    if novelty.reject_rate is not None:
        try:
            check_rate(novelty.reject_rate)
        except UsageError as error:
            raise SupportError(error.what) from error


def _check_whitened(values: npt.NDArray[np.float32], can_be_left_out: npt.NDArray[np.bool_]) -> None:
    if values.dtype != np.float32 or values.shape != (len(can_be_left_out), 2):
        raise SupportError(f"the left-out whitened measures must be float32 [{len(can_be_left_out)}, 2]")
    there = ~np.isnan(values).any(axis=1)
    angles, logarithms = values[there].T
    if (
        # A mean and a spread of each, and of one class more instances than one.
        there.sum() < _FEWEST_MEASURED
        or (there & ~can_be_left_out).any()
        or not np.isnan(values[~there]).all()
        or not ((angles >= 0) & (angles <= 2) & (np.abs(logarithms) <= _LARGEST_LOGARITHM)).all()
    ):
        raise SupportError(
            "the left-out whitened measures must be from 0 to 2 and a logarithm, of two instances or more, and none "
            "of an instance that cannot be left out"
        )
