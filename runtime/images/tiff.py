"""TIFF: the first directory of a file and where its pixels lie (TIFF 6.0, and BigTIFF)."""

from __future__ import annotations

import struct
from typing import Final

from mvrec_edge.runtime.images.header import ImageHeader, damaged, truncated

__all__ = ["SIGNATURES", "read_header"]

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# The kinds of value that are whole numbers, and how many bytes one value of each kind has.
_WHOLE: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WIDTH, _HEIGHT, _COMPRESSION, _SAMPLES, _EXTRA_SAMPLES = 256, 257, 259, 277, 338
# Strips, then tiles: where each lies, and how many bytes it has.
_EXTENTS: Final = ((273, 279), (324, 325))
_JPEG = (6, 7)
_MOST_ENTRIES = 4096
_MOST_SAMPLES = 16


def read_header(data: bytes, where: object) -> ImageHeader:
    """Reads the first directory and checks that every strip or tile lies inside the file.

    Args:
        data: The whole file.
        where: The file, for messages.

    Raises:
        ImageError: The directory or a part of the pixels is missing, or they make no sense.
    """
    directory = _Directory(data, where)
    width, height = directory.one(_WIDTH), directory.one(_HEIGHT)
    samples = directory.one(_SAMPLES, 1)
    if samples > _MOST_SAMPLES:
        raise damaged(where, f"the TIFF file has {samples} channels")
    for offsets, counts in _EXTENTS:
        if offsets in directory.entries:
            places, lengths = directory.values(offsets), directory.values(counts)
            if not places or len(places) != len(lengths):
                raise damaged(where, "the TIFF file does not say where its pixels are")
            if any(place + length > len(data) for place, length in zip(places, lengths, strict=True)):
                raise truncated(where, "the TIFF file ends before its pixels do")
            break
    else:
        raise damaged(where, "the TIFF file holds no pixels")
    return ImageHeader(
        "TIFF",
        width,
        height,
        lossy=directory.one(_COMPRESSION, 1) in _JPEG,
        alpha=_EXTRA_SAMPLES in directory.entries,
    )


class _Directory:
    """The entries of the first directory: tag to (struct code, count, place of the values)."""

    def __init__(self, data: bytes, where: object) -> None:
        self.data = data
        self.where = where
        self.order = "<" if data[:2] == b"II" else ">"
        big = data[2:4] in (b"+\0", b"\0+")
        self.entries: dict[int, tuple[str, int, int]] = {}
        word, word_size, entry_size = ("Q", 8, 20) if big else ("I", 4, 12)
        start = self._unpack(word, 8 if big else 4)[0]
        count = self._unpack("Q" if big else "H", start)[0]
        if not 1 <= count <= _MOST_ENTRIES:
            raise damaged(where, f"the TIFF directory has {count} entries")
        first = start + (8 if big else 2)
        for index in range(count):
            place = first + index * entry_size
            tag, kind = self._unpack("HH", place)
            items = self._unpack(word, place + 4)[0]
            size = _SIZES.get(kind, 0)
            field = place + 4 + word_size
            # Values that fit stand in the entry itself.
            if items * size > word_size:
                field = self._unpack(word, field)[0]
            if field + items * size > len(data):
                raise truncated(where, "the TIFF directory lies beyond the end")
            if kind in _WHOLE:
                self.entries[tag] = (_WHOLE[kind], items, field)

    def _unpack(self, layout: str, place: int) -> tuple[int, ...]:
        layout = self.order + layout
        if place + struct.calcsize(layout) > len(self.data):
            raise truncated(self.where, "the TIFF directory lies beyond the end")
        return struct.unpack_from(layout, self.data, place)

    def values(self, tag: int) -> tuple[int, ...]:
        """All values of a tag; none where it is absent."""
        if tag not in self.entries:
            return ()
        code, items, place = self.entries[tag]
        return self._unpack(f"{items}{code}", place)

    def one(self, tag: int, default: int | None = None) -> int:
        """The first value of a tag."""
        values = self.values(tag)
        if values:
            return values[0]
        if default is None:
            raise damaged(self.where, f"the TIFF file lacks tag {tag}")
        return default
