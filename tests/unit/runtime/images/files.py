"""Image files packed byte by byte, for kinds that no library writes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["bmp", "chunk", "png", "rows_of_bits", "tiff"]


def rows_of_bits(values: npt.NDArray[np.integer], bits: int) -> npt.NDArray[np.uint8]:
    """Values `[H, N]` as rows of bytes, high bits first, each row filled up to a byte."""
    single = (values[:, :, np.newaxis] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(single.reshape(len(values), -1).astype(np.uint8), axis=1)


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


# First row and column, and the steps, of the seven passes of an interlaced PNG.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def png(
    values: npt.NDArray[np.integer],
    bits: int,
    colour: int,
    *before: bytes,
    first: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """A PNG file of values `[H, W, channels]`, with chunks before the pixels."""
    height, width, _ = values.shape
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    parts = [values[row::down, column::right] for row, column, down, right in passes]
    rows = [row for part in parts if part.size for row in rows_of_bits(part.reshape(len(part), -1), bits)]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = [first, chunk(b"IHDR", header), *before, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff(tags: Mapping[int, Sequence[int]], parts: Sequence[bytes] = (), *, order: str = "<") -> bytes:
    """A TIFF file of one page; its parts become strips unless the tags say where they are.

    Every tag is a LONG, but for bytes.
    """
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8)
    entries = dict(tags)
    offsets = 273 if 322 not in tags else 324
    counts = 279 if 322 not in tags else 325
    entries.setdefault(offsets, [0] * len(parts))
    entries.setdefault(counts, [len(part) for part in parts])
    beyond = 8 + 2 + 12 * len(entries) + 4
    sizes = {tag: len(value) if isinstance(value, bytes) else 4 * len(value) for tag, value in entries.items()}
    place = beyond + sum(size for size in sizes.values() if size > 4)
    if offsets not in tags:
        entries[offsets] = [place + sum(map(len, parts[:index])) for index in range(len(parts))]
    directory, values = struct.pack(order + "H", len(entries)), b""
    for tag, value in sorted(entries.items()):
        raw = value if isinstance(value, bytes) else struct.pack(f"{order}{len(value)}I", *value)
        directory += struct.pack(order + "HHI", tag, 7 if isinstance(value, bytes) else 4, len(value))
        if len(raw) > 4:
            directory += struct.pack(order + "I", beyond + len(values))
            values += raw
        else:
            directory += raw.ljust(4, b"\0")
    return head + directory + bytes(4) + values + b"".join(parts)


def bmp(
    rows: Sequence[bytes],
    size: tuple[int, int],
    bits: int,
    palette: bytes = b"",
    *,
    compression: int = 0,
    top_down: bool = False,
    core: bool = False,
) -> bytes:
    """A BMP file of rows from top to bottom, each filled up to four bytes; run-length data is given as one row."""
    height, width = size
    ordered = rows if top_down else rows[::-1]
    pixels = b"".join(row + bytes(-len(row) % 4 if compression in (0, 3) else 0) for row in ordered)
    if core:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        signed = -height if top_down else height
        header = struct.pack("<IiiHHIIiiII", 40, width, signed, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    offset = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + header + palette + pixels
