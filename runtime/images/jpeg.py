"""JPEG: the markers of a file, from SOI to EOI (ITU-T T.81, annex B)."""

from __future__ import annotations

import re

from mvrec_edge.runtime.images.header import ImageHeader, damaged, truncated

__all__ = ["SIGNATURE", "read_header"]

SIGNATURE = b"\xff\xd8\xff"

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SOS, _EOI = 0xDA, 0xD9
# In entropy-coded data FF 00 is a byte of data, FF D0..D7 a restart, FF FF a filler; anything else ends it.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# Markers without a length.
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})


def read_header(data: bytes, where: object) -> ImageHeader:
    """Walks all markers, so that a file that ends early is noticed; decoders fill the missing rows in silence.

    Args:
        data: The whole file.
        where: The file, for messages.

    Raises:
        ImageError: The file ends before its EOI marker, or its markers make no sense.
    """
    size: tuple[int, int] | None = None
    scanned = False
    place = 2
    while True:
        place, marker = _next_marker(data, place, where)
        if marker == _EOI:
            break
        if marker in _ALONE:
            continue
        if place + 2 > len(data):
            raise truncated(where, "it ends inside a JPEG marker")
        length = int.from_bytes(data[place : place + 2], "big")
        end = place + length
        if length < 2:
            raise damaged(where, "a JPEG marker has no length")
        if end > len(data):
            raise truncated(where, "it ends inside a JPEG marker")
        if marker in _SOF and size is None:
            if length < 8:
                raise damaged(where, "the JPEG frame header is too short")
            size = (
                int.from_bytes(data[place + 5 : place + 7], "big"),
                int.from_bytes(data[place + 3 : place + 5], "big"),
            )
        place = end
        if marker == _SOS:
            scanned = True
            found = _END_OF_SCAN.search(data, place)
            if found is None:
                raise truncated(where, "the JPEG data has no end marker")
            place = found.start()
    if size is None or not scanned:
        raise damaged(where, "the JPEG file holds no image")
    return ImageHeader("JPEG", size[0], size[1], lossy=True)


def _next_marker(data: bytes, place: int, where: object) -> tuple[int, int]:
    """The marker at `place` after any fillers, and the place behind it."""
    if place >= len(data):
        raise truncated(where, "the JPEG data has no end marker")
    if data[place] != 0xFF:
        raise damaged(where, "a JPEG marker is missing")
    while place < len(data) and data[place] == 0xFF:
        place += 1
    if place >= len(data):
        raise truncated(where, "it ends inside a JPEG marker")
    return place + 1, data[place]
