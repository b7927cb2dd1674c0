"""BMP: the file header, the bitmap header and the extent of the pixels."""

from __future__ import annotations

import struct

from mvrec_edge.runtime.images.header import ImageHeader, damaged, truncated

__all__ = ["SIGNATURE", "read_header"]

SIGNATURE = b"BM"

_CORE_HEADER = 12
_RLE = (1, 2)


def read_header(data: bytes, where: object) -> ImageHeader:
    """Reads the two headers and checks that all rows are there.

    Args:
        data: The whole file.
        where: The file, for messages.

    Raises:
        ImageError: Rows are missing, or the headers make no sense.
    """
    if len(data) < 26:
        raise truncated(where, "it ends inside the BMP header")
    declared, _, offset, header_size = struct.unpack_from("<IIII", data, 2)
    if header_size == _CORE_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    elif header_size >= 40:
        if len(data) < 54:
            raise truncated(where, "it ends inside the BMP header")
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
        # Negative means that the top row comes first.
        height = abs(height)
    else:
        raise damaged(where, "the BMP header is of no known kind")
    if width < 1 or height < 1 or bits not in (1, 2, 4, 8, 16, 24, 32):
        raise damaged(where, f"the BMP header says {width} x {height} pixels of {bits} bits")
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
    return ImageHeader("BMP", width, height)
