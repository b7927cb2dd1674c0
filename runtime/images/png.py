"""PNG: the chunks of a file, from IHDR to IEND, and their checksums (ISO/IEC 15948, clause 5)."""

from __future__ import annotations

import zlib

from mvrec_edge.runtime.images.header import ImageHeader, damaged, truncated

__all__ = ["SIGNATURE", "read_header"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_WITH_ALPHA = (4, 6)


def read_header(data: bytes, where: object) -> ImageHeader:
    """Walks all chunks up to IEND.

    Args:
        data: The whole file.
        where: The file, for messages.

    Raises:
        ImageError: The file ends before its IEND chunk, or a chunk that matters has a wrong checksum.
    """
    content = memoryview(data)
    header: bytes | None = None
    pixels = False
    profile = (0, 0)
    place = len(SIGNATURE)
    while True:
        if place + 12 > len(data):
            raise truncated(where, "the PNG file has no IEND chunk")
        length = int.from_bytes(content[place : place + 4], "big")
        kind = bytes(content[place + 4 : place + 8])
        end = place + 12 + length
        if end > len(data):
            raise truncated(where, "it ends inside a PNG chunk")
        # A capital first letter marks the chunks without which there is no picture.
        critical = kind[:1].isupper()
        checksum = int.from_bytes(content[end - 4 : end], "big")
        if critical and zlib.crc32(content[place + 4 : end - 4]) != checksum:
            raise damaged(where, "a PNG chunk has a wrong checksum")
        if header is None:
            if kind != b"IHDR" or length != 13:
                raise damaged(where, "the PNG file does not begin with its header")
            header = bytes(content[place + 8 : end - 4])
        elif kind == b"iCCP":
            # Colours are taken as they are stored; libpng would print a warning for many a profile.
            profile = (place, end)
        elif kind == b"IDAT":
            pixels = True
        elif kind == b"IEND":
            break
        place = end
    if not pixels:
        raise damaged(where, "the PNG file holds no pixels")
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    return ImageHeader("PNG", width, height, alpha=header[9] in _WITH_ALPHA, ignored=profile)
