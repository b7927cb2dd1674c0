"""PNG: large files, band of rows by band, so that 16 bits and alpha take no more memory than the picture itself.

Each band is given to the decoder as a file of its own. Rows are stored as differences to the row above; so before the
rows of a band stands the last one of the band before, as it was decoded and no difference.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy.typing as npt

from mvrec_edge.runtime.images.header import MAX_PIXELS, damaged, not_read
from mvrec_edge.runtime.images.png import SIGNATURE, PngHeader
from mvrec_edge.runtime.images.png_stream import MOST_FILTER, pixel_bytes, png_chunk

__all__ = ["bands_of", "wants_bands"]

#: Decodes a whole file: gray `[H, W]`, with alpha `[H, W, 4]` (gray three times), BGR or BGRA.
Decoder = Callable[[bytes], "npt.NDArray[Any]"]

# Pixels from which on a file is decoded in bands, and the bytes of a band.
_LARGE = 1 << 23
_BAND = 1 << 23
# Interlaced files have no rows that follow one another. More than this beside the picture is not given to one.
_MOST_BESIDE = 200 << 20
# As many bytes as the largest picture of 8 bits.
_MOST_BYTES = 3 * MAX_PIXELS
# Compressed bytes that are inflated at once: what is left of them is copied.
_PIECE = 1 << 20
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def wants_bands(header: PngHeader, where: object) -> bool:
    """Whether a file is better decoded in bands.

    Raises:
        ImageError: It would be, and is interlaced, or too large with all its bits.
    """
    pixels = header.width * header.height
    if pixels < _LARGE:
        return False
    if pixels * header.pixel_bits // 8 > _MOST_BYTES:
        what = f"{header.width} x {header.height} pixels with {header.pixel_bits} bits are not read"
        raise not_read(where, what, fix="save the image with 8 bits a channel and without alpha, or cut it into tiles")
    if not header.interlaced:
        return True
    if pixels * header.pixel_bits // 8 > _MOST_BESIDE:
        what = f"an interlaced PNG file of {header.width} x {header.height} pixels with {header.pixel_bits} bits"
        raise not_read(where, f"is {what}, which is not read", fix="save it without interlacing")
    return False


def bands_of(data: bytes, header: PngHeader, where: object, decode: Decoder) -> Iterator[npt.NDArray[Any]]:
    """The pixels, band by band.

    Args:
        data: The whole file.
        header: What `read_header` found in it.
        where: The file, for messages.
        decode: The decoder.

    Yields:
        uint8 or uint16 `[rows, W, channels]`, channels as stored: gray (of fewer than 8 bits spread over 8), gray and
        alpha, RGB or RGBA; or the number of a colour.

    Raises:
        ImageError: The compressed pixels are damaged, or fewer than they should be.
    """
    channels = header.channels
    depth = header.pixel_bits // channels
    stride = 1 + (header.width * header.pixel_bits + 7) // 8
    # Of fewer bits, what fills the last byte of a row counts for the next one, and no decoder tells it.
    at_once = max(1, _BAND // stride) if depth >= 8 else header.height
    above = b""
    for rows in _inflated(memoryview(data), header, where, at_once * stride):
        if max(rows[::stride]) > MOST_FILTER:
            raise damaged(where, "a row of the PNG file has a filter that there is not")
        count = len(rows) // stride + bool(above)
        size = header.width.to_bytes(4, "big") + count.to_bytes(4, "big")
        # A number of a palette is decoded as if it were gray.
        kind = bytes((depth, _COLOUR_TYPES[channels], 0, 0, 0))
        packer = zlib.compressobj(0)
        content = b"".join((packer.compress(above), packer.compress(rows), packer.flush()))
        chunks = (png_chunk(b"IHDR", size + kind), png_chunk(b"IDAT", content), png_chunk(b"IEND", b""))
        del rows, content
        band = _as_stored(decode(b"".join((SIGNATURE, *chunks))), channels)
        if header.palette is not None and depth < 8:
            # The decoder spreads them over 8 bits.
            band //= 255 // ((1 << depth) - 1)
        yield band[bool(above) :]
        above = b"\0" + band[-1:].astype(band.dtype.newbyteorder(">")).tobytes()


def _inflated(data: memoryview, header: PngHeader, where: object, size: int) -> Iterator[bytes]:
    """The bytes of the pixels in pieces of one size, of which the last may be shorter; what is too much is left out."""
    needed, found, part = pixel_bytes(header), 0, bytearray()
    packed = (
        data[place : min(place + _PIECE, stop - 4)]
        for start, stop in header.pixels
        for place in range(start + 8, stop - 4, _PIECE)
    )
    inflater = zlib.decompressobj()
    rest: bytes | memoryview = b""
    try:
        while found < needed:
            piece = inflater.decompress(rest, min(size, needed - found) - len(part))
            part += piece
            rest = inflater.unconsumed_tail
            if len(part) == min(size, needed - found):
                found += len(part)
                yield bytes(part)
                part.clear()
            elif not rest:
                rest = next(packed, b"")
                if not rest or inflater.eof:
                    break
        # The checksum stands at the end, behind the last pixel.
        surplus = b""
        while found == needed and not surplus and not inflater.eof:
            surplus = inflater.decompress(rest, 1)
            rest = inflater.unconsumed_tail or next(packed, b"")
            if not rest and not surplus and not inflater.eof:
                break
    except zlib.error as error:
        raise damaged(where, "the pixels of the PNG file cannot be decompressed") from error
    if found < needed or not (surplus or inflater.eof):
        raise damaged(where, "the PNG file has fewer pixels than it should")


def _as_stored(pixels: npt.NDArray[Any], channels: int) -> npt.NDArray[Any]:
    """The decoder's order of channels undone."""
    if channels == 1:
        return pixels.reshape(*pixels.shape[:2], -1)[:, :, :1]
    order = {2: (0, 3), 3: (2, 1, 0), 4: (2, 1, 0, 3)}[channels]
    return pixels[:, :, order]
