"""EXIF orientation, read and applied here for every format: decoders differ in which formats they turn."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["orientation_of", "upright"]

_ORIENTATION = 0x0112
# Short and long.
_KINDS = {3: "H", 4: "I"}


def orientation_of(exif: bytes) -> int:
    """Reads the orientation out of an EXIF block.

    Args:
        exif: The block, with or without the six leading bytes that spell Exif.

    Returns:
        1 to 8; 1, which means upright, where the block holds none or makes no sense.
    """
    block = exif[6:] if exif[:6] == b"Exif\0\0" else exif
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, directory)
        for index in range(count):
            entry = directory + 2 + 12 * index
            tag, kind = struct.unpack_from(f"{order}HH", block, entry)
            if tag == _ORIENTATION and kind in _KINDS:
                (value,) = struct.unpack_from(order + _KINDS[kind], block, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
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
