"""The compressions of TIFF: one part's bytes, no more and no fewer than it must have."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable
from typing import Final

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images.header import damaged, not_read
from mvrec_edge.runtime.installing import install_extra

__all__ = ["COMPRESSIONS", "JPEG", "decompressed"]

JPEG = 7
_LZW, _ZSTD = 5, 50000
# An LZMA stream names the memory that it needs.
_MOST_LZMA_MEMORY = 1 << 28


def decompressed(compression: int, data: bytes, most: int, where: object) -> bytes:
    """Undoes a compression of bytes.

    Args:
        compression: TIFF's number for it; not JPEG.
        data: The part as it stands in the file.
        most: Most bytes that it may have.
        where: The file, for messages.

    Returns:
        At most `most` bytes.

    Raises:
        ImageError: The data makes no sense, or has more bytes; or the library that reads it is not installed.
    """
    try:
        result = _DECODERS[compression](data, most)
    except ImportError as reason:
        raise _missing("LZW" if compression == _LZW else "ZSTD", where) from reason
    except Exception as reason:
        raise damaged(where, "a part of the TIFF file cannot be decompressed") from reason
    if len(result) > most:
        # Uncompressed parts may have any number of bytes behind the last one that counts.
        if compression == 1:
            return result[:most]
        raise damaged(where, "a part of the TIFF file has more pixels than it should")
    return result


def _stored(data: bytes, most: int) -> bytes:
    return data[:most]


def _inflated(data: bytes, most: int) -> bytes:
    stream = zlib.decompressobj()
    result = stream.decompress(data, most + 1)
    # The checksum stands at the end.
    if len(result) <= most and not stream.eof:
        result += stream.decompress(stream.unconsumed_tail, 1)
        if not stream.eof:
            raise ValueError("the stream has no end")
    return result


def _lzma(data: bytes, most: int) -> bytes:
    stream = lzma.LZMADecompressor(memlimit=_MOST_LZMA_MEMORY)
    result = stream.decompress(data, most + 1)
    if len(result) <= most and not stream.eof:
        raise ValueError("the stream has no end")
    return result


def _pack_bits(data: bytes, most: int) -> bytes:
    result = bytearray()
    place = 0
    while place < len(data) and len(result) <= most:
        count = data[place]
        if count < 128:
            piece = data[place + 1 : place + 2 + count]
            if len(piece) <= count:
                raise ValueError("the data ends inside a run")
            place += 2 + count
        elif count > 128:
            piece = data[place + 1 : place + 2] * (257 - count)
            if not piece:
                raise ValueError("the data ends inside a run")
            place += 2
        else:
            piece = b""
            place += 1
        result += piece
    return bytes(result)


def _lzw(data: bytes, most: int) -> bytes:
    import imagecodecs

    # A few bytes more, so that data of another length shows.
    return bytes(imagecodecs.lzw_decode(data, out=most + 64))


def _zstd(data: bytes, most: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.zstd_decode(data, out=most + 64))


_DECODERS: Final[dict[int, Callable[[bytes, int], bytes]]] = {
    1: _stored,
    _LZW: _lzw,
    8: _inflated,
    32946: _inflated,
    32773: _pack_bits,
    34925: _lzma,
    _ZSTD: _zstd,
}
COMPRESSIONS: Final = frozenset({*_DECODERS, JPEG})


def _missing(name: str, where: object) -> ImageError:
    return not_read(
        where,
        f"the TIFF file is compressed with {name}, which needs the library 'imagecodecs'",
        fix=f"{install_extra('tiff')}, or save it as PNG",
    )
