"""Run-length masks as COCO stores them, uncompressed and compressed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.drawing_budget import take
from mvrec_edge.runtime.regions.region import Region

__all__ = ["region_of_rle"]

# More than any drawn mask needs: a run for every 64th pixel of the largest image would be noise.
_MAX_RUNS = 1 << 21
_MAX_TEXT = 4 * _MAX_RUNS
# As measured, in steps of the budget.
_RUN_WORK = 100


def region_of_rle(
    counts: Any,
    image_size: tuple[int, int],
    box: tuple[Any, ...] | None = None,
    label: str | None = None,
    source: str | None = None,
) -> Region:
    """Makes a region from a run-length mask; only the columns that it covers are decoded.

    The runs go down the columns, first background, then defect, and so on in turn. A compressed text holds each
    count in groups of five bits, least significant first, in the characters from `0` on; bit 5 of a character says
    that another follows, bit 4 of the last one is the sign, and from the fourth count on the difference to the
    count two places before is stored (COCO API, maskApi).

    Args:
        counts: A list of whole numbers, or the compressed text (str or bytes).
        image_size: `(H, W)` of the mask, which is that of the image: the caller has compared them.
        box: As for a region; by default the bounds of the mask.
        label: The class name where it is known.
        source: Where the mask was read from.

    Raises:
        AnnotationError: The runs are no whole numbers, negative, too many, or do not add up to H x W; the mask is
            empty; or the image has too many such regions.
    """
    height, width = image_size
    runs = _expand(counts, source) if isinstance(counts, str | bytes) else _check(counts, source)
    # Bounded one by one first, so that the sum cannot run over.
    if np.any(runs < 0) or np.any(runs > height * width) or int(runs.sum()) != height * width:
        raise _broken(f"its runs do not add up to {height} x {width} pixels", source)
    take(_RUN_WORK * len(runs), source)
    marked = np.flatnonzero(runs[1::2]) * 2 + 1
    if len(marked) == 0:
        raise AnnotationError("the mask is empty", where=source, fix="paint the defect white, or leave the item out")
    begin, end = int(runs[: marked[0]].sum()), int(runs[: marked[-1] + 1].sum())
    first, behind = begin // height, -(-end // height)
    take(3 * (behind - first) * height, source)
    inside = np.concatenate(([begin - first * height], runs[marked[0] : marked[-1] + 1], [behind * height - end]))
    values = np.zeros(len(inside), np.uint8)
    values[1::2] = 255
    # OpenCV turns it block by block, numpy pixel by pixel.
    mask = np.asarray(cv2.transpose(np.repeat(values, inside).reshape(behind - first, height)), np.uint8)
    return Region.from_patch(mask, (first, 0), image_size, label, source, box=box)


def _check(counts: Any, source: str | None) -> npt.NDArray[np.int64]:
    if not isinstance(counts, list) or not counts:
        raise _broken("its counts are neither a list nor a text", source)
    if len(counts) > _MAX_RUNS:
        raise _broken(f"it has more than {_MAX_RUNS} runs", source)
    if not all(type(count) is int and abs(count) < 1 << 40 for count in counts):
        raise _broken("its counts are not whole numbers", source)
    return np.array(counts, np.int64)


def _expand(counts: str | bytes, source: str | None) -> npt.NDArray[np.int64]:
    if len(counts) > _MAX_TEXT:
        raise _broken(f"its text is longer than {_MAX_TEXT} characters", source)
    try:
        text = counts.encode("ascii") if isinstance(counts, str) else counts
    except UnicodeEncodeError as error:
        raise _broken("its text has a character that does not belong there", source) from error
    groups = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if len(groups) == 0 or np.any((groups < 0) | (groups > 63)):
        raise _broken("its text has a character that does not belong there", source)
    last = (groups & 32) == 0
    if not last[-1]:
        raise _broken("its text ends inside a number", source)
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    # Seven groups hold 35 bits: more than any count, and no danger of running over.
    if int(lengths.max()) > 7:
        raise _broken("its text holds a number that is too large", source)
    if len(ends) > _MAX_RUNS:
        raise _broken(f"it has more than {_MAX_RUNS} runs", source)
    shifts = 5 * (np.arange(len(groups)) - np.repeat(starts, lengths))
    values = np.add.reduceat((groups & 31) << shifts, starts)
    negative = (groups[ends] & 16) != 0
    values = np.where(negative, values - (np.int64(1) << (5 * lengths)), values)
    # From the fourth count on differences are stored; even and odd places are two sums of their own.
    runs = values.copy()
    runs[1::2] = np.cumsum(values[1::2])
    if len(values) > 2:
        runs[2::2] = np.cumsum(values[2::2])
    return runs


def _broken(detail: str, source: str | None) -> AnnotationError:
    return AnnotationError(f"the run-length mask is broken: {detail}", where=source, fix="export it again")
