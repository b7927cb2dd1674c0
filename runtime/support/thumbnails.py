"""Small pictures of support instances: how they are bounded, packed into tensors and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import ImageError, SupportError
from mvrec_edge.runtime.images.jpeg import SIGNATURE, read_header
from mvrec_edge.runtime.wording import counted

__all__ = ["LARGEST_THUMBNAIL", "LARGEST_THUMBNAILS", "TENSORS", "check_thumbnails", "pack", "unpack", "within_room"]

#: Bytes of one picture, and of all pictures of a cache.
LARGEST_THUMBNAIL = 1 << 15
LARGEST_THUMBNAILS = 1 << 26
#: The tensors that hold them.
TENSORS = frozenset({"thumbnails.data", "thumbnails.offsets"})

_LONGEST_SIDE = 512


def check_thumbnails(pictures: Sequence[bytes], instances: int) -> tuple[bytes, ...]:
    """Checks the pictures of a cache; nothing is decoded.

    Args:
        pictures: One JPEG file for each instance, empty where an instance has none; or nothing at all.
        instances: Instances of the cache.

    Returns:
        The pictures; nothing at all where none of them holds one.

    Raises:
        SupportError: Their number is wrong, they are too large, or one is no whole JPEG file.
    """
    if not any(pictures):
        return ()
    if len(pictures) != instances:
        raise SupportError(
            f"the support has {counted(instances, 'instance')} but {counted(len(pictures), 'thumbnail')}"
        )
    if sum(map(len, pictures)) > LARGEST_THUMBNAILS:
        raise SupportError(f"the thumbnails hold more than {LARGEST_THUMBNAILS >> 20} MiB")
    for picture in pictures:
        if not picture:
            continue
        if len(picture) > LARGEST_THUMBNAIL or not picture.startswith(SIGNATURE):
            raise SupportError(f"a thumbnail is no JPEG file of at most {LARGEST_THUMBNAIL >> 10} KiB")
        try:
            header = read_header(picture, "thumbnail")
        except ImageError as error:
            raise SupportError(f"a thumbnail is damaged: {error.what}") from error
        if not (0 < header.width <= _LONGEST_SIDE and 0 < header.height <= _LONGEST_SIDE):
            raise SupportError(f"a thumbnail has {header.width} x {header.height} pixels, more than {_LONGEST_SIDE}")
    return tuple(pictures)


def pack(pictures: Sequence[bytes]) -> dict[str, npt.NDArray[Any]]:
    """Pictures as tensors, none where there are none.

    Returns:
        `thumbnails.data` uint8 `[B]`, all files one after the other, and `thumbnails.offsets` int64 `[NK + 1]`, where
        each begins and the last one ends.
    """
    if not pictures:
        return {}
    offsets = np.cumsum([0, *map(len, pictures)], dtype=np.int64)
    return {"thumbnails.data": np.frombuffer(b"".join(pictures), np.uint8), "thumbnails.offsets": offsets}


def unpack(tensors: dict[str, npt.NDArray[Any]]) -> tuple[bytes, ...]:
    """Pictures out of the tensors of a file from outside; `check_thumbnails` looks at what they hold.

    Raises:
        SupportError: The tensors are not what `pack` makes.
    """
    if not TENSORS & set(tensors):
        return ()
    if not set(tensors) >= TENSORS:
        raise SupportError("the thumbnails are not complete")
    data, offsets = tensors["thumbnails.data"], tensors["thumbnails.offsets"]
    if data.dtype != np.uint8 or data.ndim != 1 or data.size > LARGEST_THUMBNAILS:
        raise SupportError(f"the thumbnails must be at most {LARGEST_THUMBNAILS} bytes in a row")
    if offsets.dtype != np.int64 or offsets.ndim != 1 or len(offsets) < 2:
        raise SupportError("the thumbnails' offsets must be whole numbers in a row")
    # Compared, not subtracted: a difference of two hostile numbers may overflow.
    if offsets[0] != 0 or offsets[-1] != data.size or (offsets[1:] < offsets[:-1]).any():
        raise SupportError("the thumbnails' offsets do not rise from 0 to their end")
    whole = data.tobytes()
    return tuple(whole[first:last] for first, last in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))


def within_room(pictures: Sequence[bytes]) -> tuple[bytes, ...]:
    """The pictures that a cache may hold, from the first on; the others are left empty."""
    room, kept = LARGEST_THUMBNAILS, []
    for picture in pictures:
        fits = len(picture) <= room
        kept.append(picture if fits else b"")
        room -= len(picture) if fits else 0
    return tuple(kept)
