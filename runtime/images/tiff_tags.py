"""The tags of a TIFF file's first page, read by tifffile."""

from __future__ import annotations

import io
import logging
import struct
from typing import Any, Final

import numpy as np

from mvrec_edge.runtime.images.header import damaged
from mvrec_edge.runtime.images.libraries import base_library

__all__ = ["REDUCED", "TiffTags"]

# NewSubfileType's bits.
REDUCED, _TRANSPARENCY = 1, 4
_MOST_TAGS = 4096
_MOST_VALUES = 1 << 22
_TAGS: Final = {
    "kind": 254,
    "old kind": 255,
    "width": 256,
    "height": 257,
    "bits": 258,
    "compression": 259,
    "colours": 262,
    "bit order": 266,
    "strips": 273,
    "orientation": 274,
    "samples": 277,
    "strip height": 278,
    "strip sizes": 279,
    "planes": 284,
    "predictor": 317,
    "palette": 320,
    "tile width": 322,
    "tile height": 323,
    "tiles": 324,
    "tile sizes": 325,
    "extra samples": 338,
    "number format": 339,
    "tables": 347,
    "depth": 32997,
    "DNG": 50706,
}


class TiffTags:
    """The tags of the first page, as numbers.

    Args:
        data: The whole file.
        where: The file, for messages.

    Attributes:
        where: The file.
        more: Whether another picture follows.

    Raises:
        ImageError: The directory, or a tag that matters, cannot be read.
    """

    def __init__(self, data: bytes, where: object) -> None:
        tifffile = base_library("tifffile")
        # tifffile logs what it passes over; what matters of it is refused here.
        logger = logging.getLogger("tifffile")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        self.where = where
        try:
            present = _codes(data)
            with tifffile.TiffFile(io.BytesIO(data)) as file:
                page: Any = file.pages[0]
                # A tag that is there and that tifffile passes over as damaged is missed here.
                self.values: dict[str, Any] = {
                    name: page.tags[code].value for name, code in _TAGS.items() if code in present
                }
                self.more = _has_another_picture(file)
        except Exception as reason:
            raise damaged(where, "the TIFF directory cannot be read") from reason

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def many(self, name: str) -> tuple[int, ...]:
        """All values of a tag; none where it is absent."""
        value = self.values.get(name, ())
        value = tuple(value) if isinstance(value, bytes) else value
        try:
            return tuple(int(item) for item in np.asarray(value, dtype=object).ravel())
        except (TypeError, ValueError) as reason:
            raise damaged(self.where, f"the TIFF file's {name} are no numbers") from reason

    def one(self, name: str, default: int | None = None) -> int:
        """The first value of a tag."""
        values = self.many(name)
        if values:
            return values[0]
        if default is None:
            raise damaged(self.where, f"the TIFF file does not say its {name}")
        return default

    def bytes(self, name: str) -> bytes:
        """The content of a tag that holds bytes."""
        value = self.values.get(name, b"")
        return value if isinstance(value, bytes) else b""


def _codes(data: bytes) -> set[int]:
    """The tags that the first directory lists; none of them longer than any image needs."""
    order, big = ("<" if data[:2] == b"II" else ">"), b"+" in data[2:4]
    head, entry = ("Q", "HHQ") if big else ("H", "HHI")
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + head, data, start)
    codes = set()
    for index in range(min(count, _MOST_TAGS)):
        place = start + struct.calcsize(order + head) + (20 if big else 12) * index
        code, _, values = struct.unpack_from(order + entry, data, place)
        if values > _MOST_VALUES and code in _TAGS.values():
            raise ValueError("a tag has more values than any image needs")
        codes.add(code)
    return codes


def _has_another_picture(file: Any) -> bool:
    """Whether the second page is neither a smaller copy of the first one nor its transparency."""
    try:
        page = file.pages[1]
    except IndexError:
        return False
    return not int(getattr(page, "subfiletype", 0)) & (REDUCED | _TRANSPARENCY)
