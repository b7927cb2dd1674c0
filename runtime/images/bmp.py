"""BMP: the file header, the bitmap header, the palette and the extent of the pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.images.header import ImageHeader, damaged, not_read, truncated

__all__ = ["SIGNATURE", "BmpHeader", "read_header", "with_numbers"]

SIGNATURE = b"BM"

_FILE_HEADER = 14
_CORE_HEADER = 12
# Stored, RLE8, RLE4, bit fields, bit fields with alpha.
_STORED, _RLE, _KNOWN = 0, (1, 2), (0, 1, 2, 3, 6)


@dataclass(frozen=True)
class BmpHeader(ImageHeader):
    """What the two headers say.

    Attributes:
        colours: Where the palette stands, from and up to.
        colour_bytes: How many bytes one colour of it has.
    """

    colours: tuple[int, int] = (0, 0)
    colour_bytes: int = 4


def read_header(data: bytes, where: object) -> BmpHeader:
    """Reads the two headers and checks that all rows are there.

    Args:
        data: The whole file.
        where: The file, for messages.

    Raises:
        ImageError: Rows are missing, the headers make no sense, or the file is of a kind that is not read.
    """
    if len(data) < 26:
        raise truncated(where, "it ends inside the BMP header")
    declared, _, offset, header_size = struct.unpack_from("<IIII", data, 2)
    used = 0
    if header_size == _CORE_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = _STORED
    elif header_size >= 40:
        if len(data) < 54:
            raise truncated(where, "it ends inside the BMP header")
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
        (used,) = struct.unpack_from("<I", data, 46)
        # Negative means that the top row comes first.
        height = abs(height)
    else:
        raise damaged(where, "the BMP header is of no known kind")
    if width < 1 or height < 1 or bits not in (1, 2, 4, 8, 16, 24, 32):
        raise damaged(where, f"the BMP header says {width} x {height} pixels of {bits} bits")
    if compression not in _KNOWN:
        raise not_read(where, f"is a BMP file of compression {compression}, which is not read")
    if compression in _RLE:
        # The rows have no fixed length: only the declared size tells.
        if declared <= offset:
            raise damaged(where, "the BMP header does not say how long the file is")
        needed = declared
    else:
        # The declared size is wrong or 0 in many files; the rows tell, each padded to four bytes.
        needed = offset + (width * bits + 31) // 32 * 4 * height
    if len(data) < needed:
        raise truncated(where, f"the BMP file has {len(data)} of {needed} bytes")
    if bits > 8:
        return BmpHeader("BMP", width, height, alpha=bits == 32)
    size = 3 if header_size == _CORE_HEADER else 4
    start = _FILE_HEADER + header_size
    most = 1 << bits
    count = min(min(used or most, most), (offset - start) // size)
    if count < 1:
        raise damaged(where, "the BMP file has no palette")
    colours = start, start + size * count
    palette = _palette(data[slice(*colours)], size)
    return BmpHeader("BMP", width, height, palette=palette, colours=colours, colour_bytes=size)


def _palette(entries: bytes, size: int) -> npt.NDArray[np.uint8]:
    bgr = np.frombuffer(entries, np.uint8).reshape(-1, size)[:, :3]
    palette = np.full((len(bgr), 4), 255, np.uint8)
    palette[:, :3] = bgr[:, ::-1]
    return palette


def with_numbers(data: bytes, header: BmpHeader) -> bytes:
    """The file with each colour of its palette replaced by its number, as a gray value."""
    start, stop = header.colours
    size = header.colour_bytes
    numbers = bytes(number for number in range((stop - start) // size) for _ in range(size))
    return data[:start] + numbers + data[stop:]
