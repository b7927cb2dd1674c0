"""TIFF: what the first page of a file says of itself (TIFF 6.0, and BigTIFF), read by tifffile and checked here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.images.header import MAX_PIXELS, ImageHeader, damaged, not_read, truncated
from mvrec_edge.runtime.images.libraries import base_library
from mvrec_edge.runtime.images.tiff_codecs import COMPRESSIONS, JPEG
from mvrec_edge.runtime.images.tiff_tags import REDUCED, TiffTags

__all__ = ["SIGNATURES", "TiffHeader", "read_header"]

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
# Channels that make a colour, for each kind of colour that is read.
_COLOURS: Final = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_OTHER_COLOURS: Final = {
    4: "a transparency mask",
    _YCBCR: "YCbCr without JPEG",
    8: "CIE Lab",
    9: "ICC Lab",
    10: "ITU Lab",
    32803: "raw camera data",
    32844: "LogL",
    32845: "LogLuv",
    34892: "raw camera data",
}
_FORMATS: Final = {1: "uint", 2: "int", 3: "float", 4: "uint", 5: "complex int", 6: "complex"}
# No decoder tells a damaged fax row from a good one: libtiff goes on with the next.
_FAX = (2, 3, 4)
_MOST_SAMPLES = 16
_RAW, _DEVELOP = "is a camera's raw file, which is not read", "develop it, and save it as PNG"
# As many bytes as the largest picture of 8 bits.
_MOST_BYTES = 3 * MAX_PIXELS
# A compressed part is decompressed as a whole.
_MOST_BYTES_OF_PART = 192 << 20
_ALPHA_MULTIPLIED = 1


@dataclass(frozen=True)
class TiffHeader(ImageHeader):
    """The layout of the first page.

    Attributes:
        bits: 1 to 16 for each value.
        order: `"<"` or `">"`, the order of the bytes in a value.
        samples: Values for each pixel.
        colours: How many of them make the colour; the one behind them is alpha, or unknown as all that follow.
        white_is_zero: Whether 0 is white.
        cmyk: Whether the colour is CMYK.
        unknown: How many channels are neither colour nor alpha.
        premultiplied: Whether the colours have been multiplied by alpha.
        compression: TIFF's number for it.
        predictor: 1, or 2 where each value is the difference to the one before.
        reversed_bits: Whether the first pixel is in the low bits of a byte.
        tables: What all JPEG parts share; empty where there is no such thing.
        ycbcr: Whether JPEG parts hold brightness and colour, and not RGB.
        planar: Whether the channels are stored one behind the other.
        part: Width and height of a strip or tile.
        tiled: Whether parts are tiles, which are whole at the edges too.
        places: Where each part lies, and how many bytes it has.
        more_pages: Whether another picture follows.
    """

    bits: int = 8
    order: str = "<"
    samples: int = 1
    colours: int = 1
    white_is_zero: bool = False
    cmyk: bool = False
    unknown: int = 0
    premultiplied: bool = False
    compression: int = 1
    predictor: int = 1
    reversed_bits: bool = False
    tables: bytes = b""
    ycbcr: bool = False
    planar: bool = False
    part: tuple[int, int] = (0, 0)
    tiled: bool = False
    places: tuple[tuple[int, int], ...] = ()
    more_pages: bool = False


def read_header(data: bytes, where: object) -> TiffHeader:
    """Reads the first page's tags and checks that every strip or tile lies inside the file.

    Args:
        data: The whole file.
        where: The file, for messages.

    Raises:
        ImageError: The tags or a part of the pixels are missing, they make no sense, or the file is of a kind that is
            not read.
    """
    if data[8:12] == b"CR\2\0":
        raise not_read(where, _RAW, fix=_DEVELOP)
    tags = TiffTags(data, where)
    _check_kind(tags)
    width, height, samples = tags.one("width"), tags.one("height"), tags.one("samples", 1)
    bits = _bits(tags)
    kind = tags.one("colours")
    compression = tags.one("compression", 1)
    ImageHeader("TIFF", width, height).check_size(where)
    extra = tags.many("extra samples")
    if not _COLOURS[kind] <= samples <= _MOST_SAMPLES or width * height * samples * ((bits + 7) // 8) > _MOST_BYTES:
        raise not_read(where, f"{width} x {height} pixels of {samples} channels with {bits} bits are not read")
    extras = samples - _COLOURS[kind]
    if extras > 1 and _COLOURS[kind] == 1:
        raise not_read(
            where,
            f"the TIFF file has {samples} channels, but is said to be gray or to have a palette",
            fix="save it in gray or RGB, with an alpha channel at most",
        )
    tiled = "tiles" in tags
    planar = samples > 1 and tags.one("planes", 1) == 2
    part = (tags.one("tile width"), tags.one("tile height")) if tiled else (width, tags.one("strip height", height))
    part = part if tiled else (width, min(part[1], height))
    if min(part) < 1 or part[0] * part[1] * samples * ((bits + 7) // 8) > _MOST_BYTES:
        raise damaged(where, f"the parts of the TIFF file have {part[0]} x {part[1]} pixels")
    part_bytes = part[0] * part[1] * (1 if planar else samples) * bits // 8
    if compression != 1 and part_bytes > _MOST_BYTES_OF_PART:
        what = f"the strips or tiles of the TIFF file have {part_bytes >> 20} MiB, which is not read"
        raise not_read(where, what, fix="save it with smaller strips, or without compression, or as PNG")
    return TiffHeader(
        "TIFF",
        width,
        height,
        lossy=compression == JPEG,
        alpha=extras > 0,
        orientation=_orientation(tags),
        palette=_palette(tags, bits) if kind == _PALETTE else None,
        bits=bits,
        order="<" if data[:2] == b"II" else ">",
        samples=samples,
        colours=_COLOURS[kind],
        white_is_zero=kind == _WHITE_IS_ZERO,
        cmyk=kind == _CMYK,
        unknown=max(extras - 1, 0) if extra[:1] != (0,) else extras,
        premultiplied=bool(extra) and extra[0] == _ALPHA_MULTIPLIED,
        compression=compression,
        predictor=tags.one("predictor", 1),
        reversed_bits=tags.one("bit order", 1) == 2,
        tables=tags.bytes("tables"),
        ycbcr=kind == _YCBCR,
        planar=planar,
        part=part,
        tiled=tiled,
        more_pages=tags.more,
        places=_places(tags, len(data), _parts(width, height, part) * (samples if planar else 1)),
    )


def _check_kind(tags: TiffTags) -> None:
    where = tags.where
    if "DNG" in tags:
        raise not_read(where, _RAW, fix=_DEVELOP)
    if tags.one("kind", 0) & REDUCED or tags.one("old kind", 1) == 2:
        raise not_read(where, "the first picture of the TIFF file is a thumbnail, as in a camera's raw file")
    compression = tags.one("compression", 1)
    if compression in _FAX:
        what = f"the TIFF file is compressed with a fax method ({compression}), in which damage does not show"
        raise not_read(where, what, fix="save it as PNG")
    if compression not in COMPRESSIONS:
        name = _compression_name(compression)
        raise not_read(where, f"the TIFF file is compressed with {name}, which is not read")
    kind = tags.one("colours")
    if kind not in _COLOURS or (kind == _YCBCR and compression != JPEG):
        what = f"the colours of the TIFF file are {_OTHER_COLOURS.get(kind, f'of kind {kind}')}, which is not read"
        raise not_read(where, what, fix="save it as PNG in RGB")
    if tags.one("predictor", 1) not in (1, 2):
        raise not_read(where, f"the TIFF file has predictor {tags.one('predictor')}, which is not read")
    if tags.one("depth", 1) != 1:
        raise not_read(where, "the TIFF file is a volume and not one image")


def _compression_name(compression: int) -> str:
    try:
        return f"{base_library('tifffile').COMPRESSION(compression).name} ({compression})"
    except ValueError:
        return f"a method unknown here ({compression})"


def _bits(tags: TiffTags) -> int:
    kinds = tags.many("number format") or (1,)
    bits = tags.many("bits") or (1,)
    if set(kinds) <= {1, 4} and len(set(bits)) == 1 and 1 <= bits[0] <= 16:
        return bits[0]
    each = ", ".join(sorted({f"{_FORMATS.get(kind, 'of no known kind, ')}{bit}" for kind in kinds for bit in bits}))
    raise not_read(
        tags.where,
        f"the pixels are {each}, not unsigned numbers of 1 to 16 bits that are the same for all channels",
        fix="save the image with 8 or 16 bits a channel",
    )


def _orientation(tags: TiffTags) -> int:
    orientation = tags.one("orientation", 1)
    return orientation if 1 <= orientation <= 8 else 1


def _palette(tags: TiffTags, bits: int) -> npt.NDArray[np.uint8]:
    values = np.array(tags.many("palette"), np.int64)
    if len(values) != 3 << bits or values.min() < 0 or values.max() > 65535:
        raise damaged(tags.where, "the TIFF file has no palette")
    palette = np.full((1 << bits, 4), 255, np.uint8)
    # Colours have 16 bits, but some programs write 8 into them.
    palette[:, :3] = (values >> 8 if values.max() > 255 else values).reshape(3, -1).T
    return palette


def _parts(width: int, height: int, part: tuple[int, int]) -> int:
    return -(-width // part[0]) * -(-height // part[1])


def _places(tags: TiffTags, size: int, needed: int) -> tuple[tuple[int, int], ...]:
    tiled = "tiles" in tags
    # tifffile's own order: some files have tile offsets and strip sizes.
    starts = tags.many("tiles" if tiled else "strips")
    sizes = tags.many("tile sizes" if "tile sizes" in tags else "strip sizes")
    if not starts or len(starts) != len(sizes) or len(starts) < needed:
        raise damaged(tags.where, "the TIFF file does not say where its pixels are")
    places = tuple(zip(starts, sizes, strict=True))[:needed]
    if any(start < 1 or length < 1 for start, length in places):
        raise damaged(tags.where, "parts of the TIFF file have no pixels")
    if any(start + length > size for start, length in places):
        raise truncated(tags.where, "the TIFF file ends before its pixels do")
    return places
