"""PNG: the chunks of a file, from IHDR to IEND, and their checksums (ISO/IEC 15948, clause 5)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.images.exif import orientation_of
from mvrec_edge.runtime.images.header import ImageHeader, damaged, not_read, truncated

__all__ = ["SIGNATURE", "PngHeader", "for_the_decoder", "read_header"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PALETTE = 3
_WITHOUT_ALPHA, _WITH_ALPHA = (0, 2), (4, 6)
# What may be left out, but changes what is read: transparency, orientation, animation.
_MATTER = (b"tRNS", b"eXIf", b"acTL")
# IHDR's bit depths for each colour type.
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


@dataclass(frozen=True)
class PngHeader(ImageHeader):
    """What the chunks say.

    Attributes:
        ignored: The chunks, from and up to, that are left out of what the decoder sees.
        colours: Where the palette and its transparency stand, from and up to each.
        transparent: The one colour that is transparent, gray or RGB, as values of 8 or 16 bits.
    """

    ignored: tuple[tuple[int, int], ...] = ()
    colours: tuple[tuple[int, int], ...] = ()
    transparent: tuple[int, ...] = ()


@dataclass
class _Found:
    """The chunks that matter, as they are met: content, and where the whole chunk stands."""

    header: bytes = b""
    palette: bytes = b""
    transparency: bytes | None = None
    orientation: int = 1
    pixels: bool = False
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
    while kind != b"IEND":
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
    elif kind == b"PLTE":
        found.palette = bytes(content)
        found.colours.append(place)
    elif kind == b"tRNS":
        found.transparency = bytes(content)
        found.colours.append(place)
    elif kind == b"eXIf":
        found.orientation = orientation_of(bytes(content))
    elif kind == b"IDAT":
        found.pixels = True
    if not kind[:1].isupper() and kind != b"tRNS":
        # Colours are taken as they are stored, whatever the profile; and libpng would print its warnings.
        found.ignored.append(place)


def _header(found: _Found, where: object) -> PngHeader:
    if not found.pixels:
        raise damaged(where, "the PNG file holds no pixels")
    depth, colour = found.header[8:10]
    if depth not in _DEPTHS.get(colour, ()):
        raise damaged(where, f"the PNG header says colour type {colour} with {depth} bits")
    return PngHeader(
        "PNG",
        int.from_bytes(found.header[:4], "big"),
        int.from_bytes(found.header[4:8], "big"),
        alpha=colour in _WITH_ALPHA or found.transparency is not None,
        orientation=found.orientation,
        palette=_palette(found, where) if colour == _PALETTE else None,
        ignored=tuple(found.ignored),
        colours=tuple(found.colours),
        transparent=_transparent(found.transparency or b"", depth) if colour in _WITHOUT_ALPHA else (),
    )


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


def for_the_decoder(data: bytes, header: PngHeader, *, numbered: bool) -> bytes:
    """The file as the decoder should see it.

    Args:
        data: The whole file.
        header: What `read_header` found in it.
        numbered: Whether each colour of the palette is to be replaced by its number, as a gray value.
    """
    left_out = header.ignored + (header.colours if numbered else ())
    parts, place = [], 0
    for start, stop in sorted(left_out):
        parts.append(data[place:start])
        if numbered and (start, stop) == header.colours[0]:
            parts.append(_numbers())
        place = stop
    return b"".join([*parts, data[place:]]) if place else data


def _numbers() -> bytes:
    content = b"PLTE" + bytes(number for number in range(256) for _ in range(3))
    return (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")
