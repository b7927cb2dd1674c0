"""Pixels of any usual kind as 8-bit RGB."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import ImageError

__all__ = ["has_two_values", "scaled", "to_rgb_uint8"]


def scaled(values: npt.NDArray[Any], bits: int) -> npt.NDArray[np.uint8]:
    """Scales values to 8 bits, the largest becoming 255, rounded to the nearest.

    Args:
        values: uint8 or uint16.
        bits: 1 to 16; no value reaches `2**bits`.

    Returns:
        uint8, of the same shape; the same memory where `bits` is 8.
    """
    if bits == 8:
        eight: npt.NDArray[np.uint8] = values
        return eight
    result: npt.NDArray[np.uint8] = _table(bits)[values]
    return result


@functools.lru_cache
def _table(bits: int) -> npt.NDArray[np.uint8]:
    top = (1 << bits) - 1
    return ((np.arange(top + 1, dtype=np.uint32) * 255 + top // 2) // top).astype(np.uint8)


def to_rgb_uint8(array: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Brings an array that holds an image to the form the rest of the package takes.

    Gray becomes three equal channels, the alpha of RGBA is dropped, and 16-bit values are scaled, 65535 becoming
    255, rounded to the nearest (a 12-bit camera image in 16-bit words has to be scaled up first). The order of
    the channels is taken as RGB: an array from `cv2.imread` is BGR and has to be turned, as nothing in it tells.

    Args:
        array: uint8 or uint16, `[H, W]`, `[H, W, 1]`, `[H, W, 3]` (RGB) or `[H, W, 4]` (RGBA).

    Returns:
        uint8 `[H, W, 3]`, contiguous; the same memory where nothing had to be changed.

    Raises:
        ImageError: The array has another shape or type, or no pixels.
    """
    pixels = np.asarray(array)
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or 0 in pixels.shape:
        raise ImageError(
            f"an image must be [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], this array is {list(np.shape(array))}",
            fix="give height, width and channels in this order",
        )
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"pixels must be uint8 or uint16, these are {pixels.dtype}",
            fix="scale them to 0..255 and convert them with astype('uint8')",
        )
    eight = scaled(pixels[:, :, :3], 8 * pixels.itemsize)
    if eight.shape[2] == 1:
        eight = np.repeat(eight, 3, axis=2)
    return np.ascontiguousarray(eight)


def has_two_values(image: npt.NDArray[np.uint8]) -> bool:
    """Whether an image, uint8 `[H, W, 3]`, has two colours at most, as bilevel images and most masks have."""
    first = image[0, 0]
    others = (image != first).any(axis=2)
    if not others.any():
        return True
    second = image.reshape(-1, image.shape[2])[int(others.argmax())]
    return not bool((others & (image != second).any(axis=2)).any())
