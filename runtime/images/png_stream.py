"""PNG: the file as the decoder should see it, with pixels that have been inflated and checked."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from mvrec_edge.runtime.images.header import damaged
from mvrec_edge.runtime.images.png import PngHeader

__all__ = ["MOST_FILTER", "for_the_decoder", "pixel_bytes", "png_chunk"]

# First column and row of the seven passes of an interlaced file, and the steps.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 20
# Pixels that are kept inflated for the decoder, in bytes; twice as many are held for a moment.
_MOST_STORED = 1 << 26
#: The filters of rows are 0 to 4.
MOST_FILTER = 4


def for_the_decoder(data: bytes, header: PngHeader, where: object, *, numbered: bool) -> bytes:
    """The file as the decoder should see it: libpng prints what it does not like, so that it is given nothing such.

    The pixels are inflated to be checked, which is half of the work of decoding. So they are handed on as they are,
    not compressed, where that takes little memory, and the decoder need not inflate them once more.

    Args:
        data: The whole file.
        header: What `read_header` found in it; its size has been checked.
        where: The file, for messages.
        numbered: Whether each colour of the palette is to be replaced by its number, as a gray value.

    Raises:
        DamagedImageError: The compressed pixels are damaged, or fewer than they should be.
    """
    stream = b"".join(data[first + 8 : last - 4] for first, last in header.pixels)
    pixels = _stored(stream, header, where) if pixel_bytes(header) <= _MOST_STORED else _left(stream, header, where)
    left_out = header.ignored + (header.colours if numbered else ()) + (header.pixels if pixels else ())
    parts, place = [], 0
    for start, stop in sorted(left_out):
        parts.append(data[place:start])
        if (start, stop) == header.pixels[0]:
            parts += pixels
        if numbered and (start, stop) == header.colours[0]:
            parts.append(_numbers())
        place = stop
    return b"".join([*parts, data[place:]]) if place else data


def _stored(stream: bytes, header: PngHeader, where: object) -> list[bytes]:
    """The chunks of the pixels, not compressed."""
    packer = zlib.compressobj(0)
    chunks = [png_chunk(b"IDAT", packer.compress(piece)) for piece in _Inflated(stream, header, where)]
    return [*chunks, png_chunk(b"IDAT", packer.flush())]


def _left(stream: bytes, header: PngHeader, where: object) -> list[bytes]:
    """No chunks where those of the file can stay, else the same without the surplus."""
    inflated = _Inflated(stream, header, where)
    for _ in inflated:
        pass
    if not inflated.surplus:
        return []
    packer = zlib.compressobj(1)
    chunks = [png_chunk(b"IDAT", packer.compress(piece)) for piece in _Inflated(stream, header, where)]
    return [*chunks, png_chunk(b"IDAT", packer.flush())]


class _Inflated:
    """The bytes of the pixels, piece by piece, checked.

    Attributes:
        surplus: At the end, whether more is compressed than the pixels.
    """

    def __init__(self, stream: bytes, header: PngHeader, where: object) -> None:
        self._stream = stream
        self._header = header
        self._where = where
        self.surplus = False

    def __iter__(self) -> Iterator[bytes]:
        """Raises where the pixels are damaged, or fewer than they should be."""
        decompressor, found, needed = zlib.decompressobj(), 0, pixel_bytes(self._header)
        # Each piece copies what is left of the stream, so that there are few of a large image.
        size = max(_PIECE, needed // 16)
        try:
            piece = decompressor.decompress(self._stream, size)
            while piece and found <= needed:
                wanted = piece[: needed - found]
                self._check_filters(wanted, found)
                yield wanted
                found += len(piece)
                piece = decompressor.decompress(decompressor.unconsumed_tail, size)
        except zlib.error as error:
            raise damaged(self._where, "the pixels of the PNG file cannot be decompressed") from error
        if found < needed or (found == needed and not decompressor.eof):
            raise damaged(self._where, "the PNG file has fewer pixels than it should")
        self.surplus = found > needed or bool(decompressor.unused_data)

    def _check_filters(self, piece: bytes, found: int) -> None:
        """Refuses filters that there are not, which stand before each row; of passes it is not looked at."""
        stride = 1 + (self._header.width * self._header.pixel_bits + 7) // 8
        filters = piece[-found % stride :: stride]
        if not self._header.interlaced and filters and max(filters) > MOST_FILTER:
            raise damaged(self._where, "a row of the PNG file has a filter that there is not")


def _numbers() -> bytes:
    return png_chunk(b"PLTE", bytes(number for number in range(256) for _ in range(3)))


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return b"".join([len(content).to_bytes(4, "big"), kind, content, checksum.to_bytes(4, "big")])


def pixel_bytes(header: PngHeader) -> int:
    """How many bytes the pixels have, each row with the number of its filter before it."""
    length = 0
    for left, top, across, down in _PASSES if header.interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(header.width - left) // across), -(-(header.height - top) // down)
        if columns > 0 and rows > 0:
            length += rows * (1 + (columns * header.pixel_bits + 7) // 8)
    return length
