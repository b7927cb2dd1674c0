"""TIFF: strips and tiles to one picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.images import jpeg
from mvrec_edge.runtime.images.header import Samples, damaged, mask_by_palette, not_read
from mvrec_edge.runtime.images.pixels import scaled
from mvrec_edge.runtime.images.tiff import TiffHeader
from mvrec_edge.runtime.images.tiff_codecs import JPEG, decompressed

__all__ = ["decode"]

# Pixels of a part that are converted at once, and the bytes of a mask's values and alpha.
_PIECE = 1 << 20
_MOST_OF_A_MASK = 1 << 27
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


@dataclass(frozen=True)
class _Part:
    """One strip or tile: its channel where channels are apart, its first row and column, its rows, and its bytes."""

    plane: int
    row: int
    column: int
    rows: int
    data: bytes


def decode(data: bytes, header: TiffHeader, where: object, *, for_mask: bool) -> Samples:
    """Decodes the first page.

    Args:
        data: The whole file.
        header: What `read_header` found in it.
        where: The file, for messages.
        for_mask: Whether alpha and the numbers of palette colours are wanted as well.

    Raises:
        ImageError: A part is damaged, or has fewer pixels than it should; or, for an image, the colours have been
            multiplied by an alpha that is not opaque everywhere, so that they are not the picture's own.
    """
    if header.unknown and for_mask:
        raise not_read(
            where,
            f"the TIFF file has {header.samples} channels, of which some are neither colour nor alpha: it is not known "
            "which of them is the mask",
            fix="save the mask as a gray image",
        )
    if for_mask:
        return _mask(data, header, where)
    return _image(data, header, where)


def _image(data: bytes, header: TiffHeader, where: object) -> Samples:
    """The colours in 8 bits, part by part, so that 16 bits and alpha take no more memory than the picture itself."""
    top = (1 << header.bits) - 1
    channels = 3 if header.palette is not None else header.colours
    image = np.empty((header.height, header.width, channels), np.uint8)
    for target, plane, pixels in _placed(data, header, where):
        # Channels that are apart are so in the parts, too.
        alpha = pixels[:, :, header.colours :] if plane is None else pixels[:, :, : plane == header.colours]
        if header.premultiplied and header.alpha and alpha.size and int(alpha[:, :, 0].min()) < top:
            raise not_read(
                where,
                "the colours of the TIFF file are multiplied by its transparency (associated alpha)",
                fix="save it without transparency",
            )
        if plane is not None and plane >= header.colours:
            continue
        colours = pixels[:, :, : header.colours]
        if header.palette is not None:
            image[target] = header.palette[:, :3][colours[:, :, 0]]
        else:
            eight = scaled(top - colours if header.white_is_zero else colours, header.bits)
            image[target][:, :, slice(None) if plane is None else slice(plane, plane + 1)] = eight
    return Samples(_rgb_of_cmyk(image) if header.cmyk else image, 8)


def _mask(data: bytes, header: TiffHeader, where: object) -> Samples:
    """The strongest channel of each pixel, part by part; and alpha."""
    top = (1 << header.bits) - 1
    kind = np.uint8 if header.bits <= 8 else np.uint16
    size = (header.height, header.width)
    if header.width * header.height * np.dtype(kind).itemsize * (1 + header.alpha) > _MOST_OF_A_MASK:
        what = f"the mask has {header.width} x {header.height} pixels, with more than 8 bits or alpha"
        raise not_read(where, what, fix="save the mask as a gray image of 8 bits")
    # Black of CMYK is no channel of its own.
    values = _image(data, header, where).colours.max(axis=2) if header.cmyk else np.zeros(size, kind)
    alpha = np.empty(size, kind) if header.alpha else None
    for target, plane, pixels in _placed(data, header, where):
        if alpha is not None and (plane is None or plane == header.colours):
            alpha[target] = pixels[:, :, header.colours if plane is None else 0]
        if header.cmyk or (plane is not None and plane >= header.colours):
            continue
        colours = pixels[:, :, : header.colours]
        if header.white_is_zero:
            colours = top - colours
        np.maximum(values[target], colours.max(axis=2), out=values[target])
    if header.palette is not None:
        return replace(mask_by_palette(values, header, where), alpha=alpha)
    return Samples(values[:, :, np.newaxis], 8 if header.cmyk else header.bits, alpha=alpha)


def _placed(
    data: bytes, header: TiffHeader, where: object
) -> Iterator[tuple[tuple[slice, slice], int | None, npt.NDArray[Any]]]:
    """Where each part belongs, its channel where channels are apart, and its values as numbers of the machine."""
    for part in _parts(data, header):
        top = part.row
        for pixels in _pixels(part, header, where):
            # Tiles reach over the edge.
            piece = pixels[: max(0, header.height - top), : header.width - part.column]
            if len(piece):
                rectangle = slice(top, top + len(piece)), slice(part.column, part.column + piece.shape[1])
                yield rectangle, part.plane if header.planar else None, piece
            top += len(pixels)


def _parts(data: bytes, header: TiffHeader) -> Iterator[_Part]:
    width, height = header.part
    places = iter(header.places)
    for plane in range(header.colours + header.alpha if header.planar else 1):
        for row in range(0, header.height, height):
            rows = height if header.tiled else min(height, header.height - row)
            for column in range(0, header.width, width):
                start, length = next(places)
                yield _Part(plane, row, column, rows, data[start : start + length])


def _pixels(part: _Part, header: TiffHeader, where: object) -> Iterator[npt.NDArray[Any]]:
    """One part, some rows after the others, since what is computed of them needs several times their memory."""
    if header.compression == JPEG:
        yield _jpeg(part, header, where)
        return
    channels = 1 if header.planar else header.samples
    stored = part.data.translate(_REVERSED) if header.reversed_bits else part.data
    width = header.part[0]
    row_bytes = (width * channels * header.bits + 7) // 8
    # The last strip has the rows that are left, or as many as the others.
    content = decompressed(header.compression, stored, row_bytes * header.part[1], where)
    if len(content) < row_bytes * part.rows:
        raise damaged(where, "a part of the TIFF file has fewer pixels than it should")
    if header.compression != 1 and len(content) not in (row_bytes * part.rows, row_bytes * header.part[1]):
        raise damaged(where, "a part of the TIFF file has more pixels than it should")
    rows = np.frombuffer(content[: row_bytes * part.rows], np.uint8).reshape(part.rows, row_bytes)
    step = max(1, _PIECE // width)
    for first in range(0, part.rows, step):
        some = rows[first : first + step]
        values = _unpacked(some, header.bits, header.order, width * channels).reshape(len(some), width, channels)
        if header.predictor == 2:
            top = values.dtype.type((1 << header.bits) - 1)
            values = np.cumsum(values, axis=1, dtype=values.dtype) & top
        yield values


def _unpacked(rows: npt.NDArray[np.uint8], bits: int, order: str, count: int) -> npt.NDArray[Any]:
    """The first `count` values of each row, `[rows, count]`; values that are no whole bytes lie high bits first."""
    if bits == 8:
        return rows[:, :count]
    if bits == 16:
        return rows.view(f"{order}u2").astype(np.uint16, copy=False)
    single = np.unpackbits(rows, axis=1, count=count * bits).reshape(len(rows), count, bits)
    values: npt.NDArray[Any] = np.zeros((len(rows), count), np.uint8 if bits < 8 else np.uint16)
    for bit in range(bits):
        values <<= 1
        values |= single[:, :, bit]
    return values


def _jpeg(part: _Part, header: TiffHeader, where: object) -> npt.NDArray[np.uint8]:
    channels = 1 if header.planar else header.samples
    plain = header.bits == 8 and not header.cmyk and not header.white_is_zero and header.palette is None
    # Channels that are apart are decoded one by one, and so not turned into RGB.
    if not plain or channels not in (1, 3) or (header.planar and header.ycbcr):
        raise not_read(where, "the TIFF file holds JPEG of other colours than 8-bit gray and RGB, which is not read")
    stream = _jpeg_file(part.data, header, where)
    found = jpeg.read_header(stream, where)
    width, height = header.part
    if found.width != width or found.height not in (part.rows, height):
        raise damaged(where, f"a JPEG part of the TIFF file has {found.width} x {found.height} pixels")
    if found.components != channels:
        raise damaged(where, f"a JPEG part of the TIFF file has {found.components} channels")
    return jpeg.decode(stream, found, where)[0]


def _jpeg_file(data: bytes, header: TiffHeader, where: object) -> bytes:
    """The part as a JPEG file: with the tables that all parts share, and told which colours it holds."""
    if not data.startswith(jpeg.SIGNATURE):
        raise damaged(where, "a part of the TIFF file is not the JPEG that it should be")
    start, end = data[:2], b"\xff\xd9"
    tables = header.tables
    if tables and not (tables.startswith(start) and tables.endswith(end)):
        raise damaged(where, "the JPEG tables of the TIFF file make no sense")
    colours = b""
    if header.colours == 3 and not header.planar:
        # Adobe's segment says by its last byte what three channels are; a later one counts more.
        colours = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([header.ycbcr])
    return start + colours + tables[2:-2] + data[2:]


def _rgb_of_cmyk(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """CMYK as a screen shows it, without colour profiles."""
    colours = np.empty((*pixels.shape[:2], 3), np.uint8)
    for target, row in zip(colours, pixels, strict=True):
        rest = 255 - row.astype(np.uint32)
        target[:] = (rest[:, :3] * rest[:, 3:] + 127) // 255
    return colours
