"""BMP: the file header, the bitmap header, the palette and the extent of the pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from mvrec_edge.runtime.images.header import ImageHeader, damaged, not_read, truncated

__all__ = ["SIGNATURE", "BmpHeader", "read_header", "with_numbers"]

SIGNATURE = b"BM"

_FILE_HEADER = 14
_CORE_HEADER = 12
# Stored, RLE8, RLE4, bit fields, bit fields with alpha.
_STORED, _RLE, _FIELDS, _KNOWN = 0, (1, 2), (3, 6), (0, 1, 2, 3, 6)
# Where red, green and blue lie in a pixel, for each number of bits: the orders that OpenCV knows.
_ORDERS = {
    16: ((0x7C00, 0x3E0, 0x1F), (0xF800, 0x7E0, 0x1F)),
    32: ((0xFF0000, 0xFF00, 0xFF),),
}


@dataclass(frozen=True)
class BmpHeader(ImageHeader):
    """What the two headers say.

    Attributes:
        colours: Where the palette stands, from and up to.
        colour_bytes: How many bytes one colour of it has.
    """

    colours: tuple[int, int] = (0, 0)
    colour_bytes: int = 4


@dataclass(frozen=True)
class _Bitmap:
    """The bitmap header: its own size, what the pixels are like, and how many colours the palette has if not all."""

    size: int
    width: int
    height: int
    bits: int
    compression: int = _STORED
    used: int = 0


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
    declared, _, offset = struct.unpack_from("<III", data, 2)
    bitmap = _bitmap(data, where)
    width, height, bits = bitmap.width, bitmap.height, bitmap.bits
    if width < 1 or height < 1 or bits not in (1, 2, 4, 8, 16, 24, 32):
        raise damaged(where, f"the BMP header says {width} x {height} pixels of {bits} bits")
    if bitmap.compression not in _KNOWN:
        raise not_read(where, f"is a BMP file of compression {bitmap.compression}, which is not read")
    # The declared size is wrong or 0 in many files; the rows tell, each padded to four bytes.
    needed = offset + (width * bits + 31) // 32 * 4 * height
    if bitmap.compression in _RLE:
        # These rows have no fixed length: only the declared size tells.
        if declared <= offset:
            raise damaged(where, "the BMP header does not say how long the file is")
        needed = declared
    if len(data) < needed:
        raise truncated(where, f"the BMP file has {len(data)} of {needed} bytes")
    if bitmap.compression in _FIELDS and _fields(data, where) not in _ORDERS.get(bits, ()):
        raise not_read(where, "is a BMP file with an unusual order of colours, which is not read")
    if bits > 8:
        return BmpHeader("BMP", width, height, alpha=bits == 32)
    return _with_palette(data, bitmap, offset, where)


def _bitmap(data: bytes, where: object) -> _Bitmap:
    (size,) = struct.unpack_from("<I", data, _FILE_HEADER)
    if size == _CORE_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        return _Bitmap(size, width, height, bits)
    if size < 40:
        raise damaged(where, "the BMP header is of no known kind")
    if len(data) < 54:
        raise truncated(where, "it ends inside the BMP header")
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    # A negative height means that the top row comes first.
    return _Bitmap(size, width, abs(height), bits, compression, struct.unpack_from("<I", data, 46)[0])


def _with_palette(data: bytes, bitmap: _Bitmap, offset: int, where: object) -> BmpHeader:
    entry = 3 if bitmap.size == _CORE_HEADER else 4
    start = _FILE_HEADER + bitmap.size
    most = 1 << bitmap.bits
    count = min(bitmap.used or most, most, (offset - start) // entry)
    if count < 1:
        raise damaged(where, "the BMP file has no palette")
    stop = start + entry * count
    palette = np.full((count, 4), 255, np.uint8)
    palette[:, :3] = np.frombuffer(data[start:stop], np.uint8).reshape(count, entry)[:, 2::-1]
    return BmpHeader("BMP", bitmap.width, bitmap.height, palette=palette, colours=(start, stop), colour_bytes=entry)


def _fields(data: bytes, where: object) -> tuple[int, ...]:
    if len(data) < 66:
        raise truncated(where, "it ends inside the BMP header")
    return struct.unpack_from("<III", data, 54)


def with_numbers(data: bytes, header: BmpHeader) -> bytes:
    """The file with each colour of its palette replaced by its number, as a gray value."""
    start, stop = header.colours
    size = header.colour_bytes
    numbers = bytes(number for number in range((stop - start) // size) for _ in range(size))
    return data[:start] + numbers + data[stop:]
