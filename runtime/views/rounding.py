"""Sums of float32 rounded to the bytes that Pillow's integers give.

Pillow sums whole multiples of 2^-22, adds a half and cuts off, without any error. A sum of float32 has a small error,
which matters only beside a half: there, and only there, the sum is done again in integers.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.views.kernels import WEIGHT_BITS, Chunk, InexactRows

__all__ = ["round_to_bytes"]

# Pillow rounds halves up, OpenCV to even, and 256 and 384 to 512 give many exact halves. Exact sums are multiples of
# 2^-14, so this moves the halves and nothing else.
_HALF_UP = 2.0**-16
# Sums that are done again together; bounds the memory.
_TOGETHER = 1 << 16


def round_to_bytes(
    chunk: Chunk, image: npt.NDArray[np.uint8], sums: npt.NDArray[np.float32], out: npt.NDArray[np.uint8]
) -> None:
    """Rounds and clips the sums of a chunk's rows to 8 bits.

    Args:
        chunk: The rows.
        image: uint8 `[input rows, N]`, what was summed; N is a multiple of 4, the channels.
        sums: float32 `[chunk rows, N]`, contiguous, overwritten.
        out: uint8 `[chunk rows, N]`, contiguous, filled with what Pillow computes.
    """
    # Two steps, because the fastest conversion with saturation takes the absolute value first.
    cv2.threshold(sums, 0, 0, cv2.THRESH_TOZERO, dst=sums)
    done = 0
    for rows in chunk.inexact:
        end = rows.start + len(rows.first)
        _round_exact(sums[done : rows.start], out[done : rows.start])
        _round_inexact(rows, image, sums[rows.start : end], out[rows.start : end])
        done = end
    _round_exact(sums[done:], out[done:])


def _round_exact(sums: npt.NDArray[np.float32], out: npt.NDArray[np.uint8]) -> None:
    if len(sums):
        cv2.convertScaleAbs(sums, dst=out, alpha=1, beta=_HALF_UP)


def _round_inexact(
    rows: InexactRows, image: npt.NDArray[np.uint8], sums: npt.NDArray[np.float32], out: npt.NDArray[np.uint8]
) -> None:
    """Does those sums again that lie so near a half that their error decides how they are rounded."""
    differs = cv2.convertScaleAbs(sums, alpha=1, beta=-rows.bound)
    cv2.convertScaleAbs(sums, dst=out, alpha=1, beta=rows.bound)
    cv2.bitwise_xor(differs, out, dst=differs)
    # They are few, and looked for among words of four bytes, which is ten times faster than among bytes.
    words = differs.reshape(-1).view(np.uint32)
    unsure = (np.flatnonzero(words != 0)[:, None] * 4 + np.arange(4)).reshape(-1)
    unsure = unsure[differs.reshape(-1)[unsure] != 0]
    for start in range(0, len(unsure), _TOGETHER):
        row, column = np.divmod(unsure[start : start + _TOGETHER], sums.shape[1])
        # A row with fewer weights than the longest has zeros at its end, which may reach beyond the image.
        lines = np.minimum(rows.first[row] + np.arange(rows.weights.shape[1])[:, None], len(image) - 1)
        exact = np.einsum("kn,nk->n", image[lines, column].astype(np.int64), rows.weights[row])
        exact = (exact + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS
        out[row, column] = np.clip(exact, 0, 255)
