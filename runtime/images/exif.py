"""EXIF orientation where OpenCV does not apply it in every version, which is WebP."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["orientation_of", "upright"]

_ORIENTATION = 0x0112


def orientation_of(exif: bytes) -> int:
    """Reads the orientation out of an EXIF block.

    Args:
        exif: The block, with or without the six leading bytes that spell Exif.

    Returns:
        1 to 8; 1, which means upright, where the block holds none or makes no sense.
    """
    block = exif[6:] if exif[:6] == b"Exif\0\0" else exif
    order = {b"II": "little", b"MM": "big"}.get(block[:2])
    if order is None or len(block) < 10:
        return 1
    little = order == "little"

    def number(start: int, size: int) -> int:
        return int.from_bytes(block[start : start + size], "little" if little else "big")

    directory = number(4, 4)
    for index in range(number(directory, 2)):
        entry = directory + 2 + 12 * index
        if entry + 12 > len(block):
            break
        if number(entry, 2) == _ORIENTATION:
            value = number(entry + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1


def upright(image: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turns an image as its EXIF orientation asks (EXIF 2.3, tag 0x0112).

    Args:
        image: `[H, W, ...]` as stored.
        orientation: 1 to 8.

    Returns:
        The image as a person should see it, contiguous; for 5 to 8 height and width are exchanged.
    """
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
