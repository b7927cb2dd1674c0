"""PNG: the chunks of a file, from IHDR to IEND, and their checksums (ISO/IEC 15948, clause 5)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.images.exif import orientation_of
from mvrec_edge.runtime.images.header import MAX_PIXELS, ImageHeader, damaged, not_read, truncated

__all__ = ["SIGNATURE", "PngHeader", "read_header"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PALETTE = 3
_WITHOUT_ALPHA, _WITH_ALPHA = (0, 2), (4, 6)
# What may be left out, but changes what is read: transparency, orientation, animation.
_MATTER = (b"tRNS", b"eXIf", b"acTL")
# IHDR's bit depths for each colour type.
# The kinds of colour in which a palette or a transparency means nothing.
_NOT_WITH = {b"PLTE": (0, 4), b"tRNS": (4, 6)}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Pixels come in chunks of 8 kB and more.
_MOST_CHUNKS = 1 << 17
# What libpng reads at most.
_LONGEST = 1_000_000
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


@dataclass(frozen=True)
class PngHeader(ImageHeader):
    """What the chunks say.

    Attributes:
        ignored: The chunks, from and up to, that are left out of what the decoder sees.
        pixels: The chunks of pixels, from and up to.
        pixel_bits: How many bits a pixel has.
        channels: Values of a pixel: gray or the number of a colour, gray and alpha, RGB, or RGBA.
        interlaced: Whether the pixels come in seven passes.
        colours: Where the palette and its transparency stand, from and up to each.
        transparent: The one colour that is transparent, gray or RGB, as values of 8 or 16 bits.
    """

    ignored: tuple[tuple[int, int], ...] = ()
    pixels: tuple[tuple[int, int], ...] = ()
    pixel_bits: int = 8
    channels: int = 1
    interlaced: bool = False
    colours: tuple[tuple[int, int], ...] = ()
    transparent: tuple[int, ...] = ()


@dataclass
class _Found:
    """The chunks that matter, as they are met: content, and where the whole chunk stands."""

    header: bytes = b""
    palette: bytes = b""
    transparency: bytes | None = None
    orientation: int = 1
    stream: list[memoryview] = field(default_factory=list)
    pixels: list[tuple[int, int]] = field(default_factory=list)
    ignored: list[tuple[int, int]] = field(default_factory=list)
    colours: list[tuple[int, int]] = field(default_factory=list)


def read_header(data: bytes, where: object) -> PngHeader:
    """Walks all chunks up to IEND.

    Args:
        data: The whole file.
        where: The file, for messages.

    Raises:
        ImageError: The file ends before its IEND chunk, a chunk that matters has a wrong checksum, or the file is of a
            kind that is not read.
    """
    content = memoryview(data)
    found = _Found()
    place = len(SIGNATURE)
    kind = b""
    count = 0
    while kind != b"IEND":
        count += 1
        if count > _MOST_CHUNKS:
            raise damaged(where, f"the PNG file has more than {_MOST_CHUNKS} chunks")
        if place + 12 > len(data):
            raise truncated(where, "the PNG file has no IEND chunk")
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        kind = bytes(content[place + 4 : place + 8])
        if end > len(data):
            raise truncated(where, "it ends inside a PNG chunk")
        checksum = int.from_bytes(content[end - 4 : end], "big")
        # A capital first letter marks the chunks without which there is no picture.
        if (kind[:1].isupper() or kind in _MATTER) and zlib.crc32(content[place + 4 : end - 4]) != checksum:
            raise damaged(where, "a PNG chunk has a wrong checksum")
        _take(found, kind, content[place + 8 : end - 4], (place, end), where)
        place = end
    return _header(found, where)


def _take(found: _Found, kind: bytes, content: memoryview, place: tuple[int, int], where: object) -> None:
    if kind == b"CgBI":
        raise not_read(
            where, "is a PNG file in Apple's own form (CgBI), which is not read", fix="export it as PNG again"
        )
    if not found.header:
        if kind != b"IHDR" or len(content) != 13:
            raise damaged(where, "the PNG file does not begin with its header")
        found.header = bytes(content)
    elif kind == b"acTL":
        raise not_read(where, "an animated PNG file is not one image", fix="save the picture that is meant as PNG")
    elif kind not in (b"PLTE", b"IDAT", b"IEND") and kind[:1].isupper():
        raise damaged(where, "the PNG file has a chunk that no reader knows, or two headers")
    elif kind == b"IEND" and len(content):
        raise damaged(where, "the IEND chunk of the PNG file is not empty")
    elif kind in _NOT_WITH:
        _take_colours(found, kind, content, place)
    elif kind == b"eXIf":
        found.orientation = orientation_of(bytes(content))
    elif kind == b"IDAT":
        found.stream.append(content)
        found.pixels.append(place)
    if not kind[:1].isupper() and kind != b"tRNS":
        # Colours are taken as they are stored, whatever the profile; and libpng would print its warnings.
        found.ignored.append(place)


def _take_colours(found: _Found, kind: bytes, content: memoryview, place: tuple[int, int]) -> None:
    """A palette or a transparency; one that means nothing or comes too late is left out, or libpng would warn of it."""
    again = bool(found.palette) if kind == b"PLTE" else found.transparency is not None
    if again or found.stream or found.header[9] in _NOT_WITH[kind]:
        found.ignored.append(place)
        return
    # Of gray and RGB it is compared here; libpng would only warn where it makes no sense.
    here = kind == b"tRNS" and found.header[9] in _WITHOUT_ALPHA
    (found.ignored if here else found.colours).append(place)
    if kind == b"PLTE":
        found.palette = bytes(content)
    else:
        found.transparency = bytes(content)


def _header(found: _Found, where: object) -> PngHeader:
    if not found.pixels:
        raise damaged(where, "the PNG file holds no pixels")
    depth, colour, compression, filtering, interlaced = found.header[8:13]
    if depth not in _DEPTHS.get(colour, ()):
        raise damaged(where, f"the PNG header says colour type {colour} with {depth} bits")
    if compression or filtering or interlaced > 1:
        raise damaged(where, "the PNG header names a method that there is not")
    width, height = int.from_bytes(found.header[:4], "big"), int.from_bytes(found.header[4:8], "big")
    # Of too many pixels `check_size` speaks.
    if max(width, height) > _LONGEST and width * height <= MAX_PIXELS:
        raise not_read(
            where, f"{width} x {height} pixels are not read: a side may have {_LONGEST}", fix="cut it in tiles"
        )
    _check_transparency(found, colour, where)
    return PngHeader(
        "PNG",
        width,
        height,
        alpha=colour in _WITH_ALPHA or found.transparency is not None,
        orientation=found.orientation,
        palette=_palette(found, where) if colour == _PALETTE else None,
        ignored=tuple(found.ignored),
        pixels=tuple(found.pixels),
        pixel_bits=depth * _CHANNELS[colour],
        channels=_CHANNELS[colour],
        interlaced=bool(interlaced),
        colours=tuple(found.colours),
        transparent=_transparent(found.transparency or b"", depth) if colour in _WITHOUT_ALPHA else (),
    )


def _check_transparency(found: _Found, colour: int, where: object) -> None:
    size = {0: 2, 2: 6}.get(colour)
    if size and found.transparency is not None and len(found.transparency) != size:
        raise damaged(where, "the transparency of the PNG file makes no sense")


def _palette(found: _Found, where: object) -> npt.NDArray[np.uint8]:
    count = len(found.palette) // 3
    if len(found.palette) % 3 or not 1 <= count <= 256:
        raise damaged(where, "the PNG file has no palette")
    palette = np.full((count, 4), 255, np.uint8)
    palette[:, :3] = np.frombuffer(found.palette, np.uint8).reshape(-1, 3)
    opacity = np.frombuffer(found.transparency or b"", np.uint8)[:count]
    palette[: len(opacity), 3] = opacity
    return palette


def _transparent(content: bytes, depth: int) -> tuple[int, ...]:
    stored = np.frombuffer(content[: len(content) // 2 * 2], ">u2").astype(int) & ((1 << depth) - 1)
    # Values of fewer than 8 bits are spread over 8 by the decoder, which this divides without a rest.
    return tuple((stored * (255 // ((1 << depth) - 1)) if depth < 8 else stored).tolist())
