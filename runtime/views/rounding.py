"""Sums of float32 rounded to the bytes that Pillow's integers give.

Pillow sums whole multiples of 2^-22, adds a half and cuts off, without any error. A sum of float32 has a small error,
which matters only beside a half: there, and only there, the sum is done again in integers.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.views.kernels import WEIGHT_BITS, Chunk, InexactRows, integer_weights

__all__ = ["round_to_bytes", "settle"]

# Pillow rounds halves up, OpenCV to even, and 256 and 384 to 512 give many exact halves. Exact sums are multiples of
# 2^-14, so this moves the halves and nothing else.
_HALF_UP = 2.0**-16
# Sums that are done again together; bounds the memory.
_TOGETHER = 1 << 16


def round_to_bytes(
    chunk: Chunk, sums: npt.NDArray[np.float32], out: npt.NDArray[np.uint8], spare: npt.NDArray[np.uint8]
) -> list[npt.NDArray[np.intp]]:
    """Rounds and clips the sums of a chunk's rows to 8 bits.

    Args:
        chunk: The rows.
        sums: float32 `[chunk rows, N]`, contiguous, overwritten; N is a multiple of 4, the channels.
        out: uint8 `[chunk rows, N]`, contiguous, filled.
        spare: uint8 `[chunk rows, N]`, contiguous, overwritten.

    Returns:
        Places in the whole output, counted value by value, of sums so near a half that their error decides how they are
        rounded; see `settle`.
    """
    # Two steps, because the fastest conversion with saturation takes the absolute value first.
    cv2.threshold(sums, 0, 0, cv2.THRESH_TOZERO, dst=sums)
    found = []
    done = 0
    for rows in chunk.inexact:
        _round_exact(sums[done : rows.start], out[done : rows.start])
        part = slice(rows.start, rows.stop)
        found.append(_round_inexact(rows, sums[part], out[part], spare[part]))
        found[-1] += (chunk.start + rows.start) * sums.shape[1]
        done = rows.stop
    _round_exact(sums[done:], out[done:])
    return found


def settle(unsure: Sequence[npt.NDArray[np.intp]], image: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> None:
    """Does sums again that are near a half, in integers, so that every value is what Pillow computes.

    Args:
        unsure: What `round_to_bytes` returned for each chunk.
        image: uint8 `[input rows, N]`, contiguous: what was summed.
        out: uint8 `[output rows, N]`, contiguous.
    """
    if not unsure:
        return
    places = np.concatenate(unsure)
    length = out.shape[1]
    first, weights = integer_weights(len(image), len(out))
    taps = np.arange(weights.shape[1])[:, None]
    for start in range(0, len(places), _TOGETHER):
        some = places[start : start + _TOGETHER]
        row = some // length
        # A row with fewer weights than the longest has zeros at its end, which may reach beyond the image.
        lines = np.minimum(first[row] + taps, len(image) - 1)
        values = image.reshape(-1).take(lines * length + (some - row * length))
        exact = np.einsum("kn,nk->n", values, weights[row], dtype=np.int64, casting="safe")
        exact += 1 << (WEIGHT_BITS - 1)
        exact >>= WEIGHT_BITS
        out.reshape(-1)[some] = np.minimum(np.maximum(exact, 0), 255)


def _round_exact(sums: npt.NDArray[np.float32], out: npt.NDArray[np.uint8]) -> None:
    if len(sums):
        cv2.convertScaleAbs(sums, dst=out, alpha=1, beta=_HALF_UP)


def _round_inexact(
    rows: InexactRows, sums: npt.NDArray[np.float32], out: npt.NDArray[np.uint8], differs: npt.NDArray[np.uint8]
) -> npt.NDArray[np.intp]:
    """Rounds, and returns the places of the sums whose error decides how."""
    cv2.convertScaleAbs(sums, dst=differs, alpha=1, beta=-rows.bound)
    cv2.convertScaleAbs(sums, dst=out, alpha=1, beta=rows.bound)
    cv2.bitwise_xor(differs, out, dst=differs)
    # They are few, and looked for among words of eight bytes, which is many times faster than among bytes.
    flat = differs.reshape(-1)
    word = np.dtype(np.uint64 if flat.size % 8 == 0 else np.uint32)
    unsure = (np.flatnonzero(flat.view(word) != 0)[:, None] * word.itemsize + np.arange(word.itemsize)).reshape(-1)
    places: npt.NDArray[np.intp] = unsure[flat[unsure] != 0]
    return places
