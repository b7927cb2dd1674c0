"""Pixels of any usual kind as 8-bit RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import ImageError

__all__ = ["to_eight_bits", "to_rgb_uint8"]

# 65535 = 257 * 255, so dividing by 257 maps the whole range; 128 rounds to the nearest.
_SIXTEEN_TO_EIGHT = ((np.arange(65536, dtype=np.uint32) + 128) // 257).astype(np.uint8)


def to_eight_bits(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Scales 16-bit values to 8 bits, 65535 becoming 255, rounded to the nearest; 8-bit values stay.

    Raises:
        ImageError: The values are neither uint8 nor uint16.
    """
    if array.dtype == np.uint8:
        eight: npt.NDArray[np.uint8] = array
        return eight
    if array.dtype == np.uint16:
        scaled: npt.NDArray[np.uint8] = _SIXTEEN_TO_EIGHT[array]
        return scaled
    raise ImageError(
        f"pixels must be uint8 or uint16, these are {array.dtype}",
        fix="scale them to 0..255 and convert them with astype('uint8')",
    )


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
    eight = to_eight_bits(pixels[:, :, :3])
    if eight.shape[2] == 1:
        eight = np.repeat(eight, 3, axis=2)
    return np.ascontiguousarray(eight)
