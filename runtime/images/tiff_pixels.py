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
    values = _values(data, header, where)
    top = (1 << header.bits) - 1
    alpha = values[:, :, header.colours] if header.alpha else None
    colours = values[:, :, : header.colours]
    if header.premultiplied and not for_mask and alpha is not None and int(alpha.min()) < top:
        raise not_read(
            where,
            "the colours of the TIFF file are multiplied by its transparency (associated alpha)",
            fix="save it without transparency",
        )
    if header.palette is not None:
        if for_mask:
            return replace(mask_by_palette(colours[:, :, 0], header, where), alpha=alpha)
        return Samples(header.palette[:, :3][colours[:, :, 0]], 8)
    if header.cmyk:
        return Samples(_rgb_of_cmyk(scaled(colours, header.bits)), 8, alpha=alpha)
    return Samples(top - colours if header.white_is_zero else colours, header.bits, alpha=alpha)


def _values(data: bytes, header: TiffHeader, where: object) -> npt.NDArray[Any]:
    """All values that are needed, `[H, W, channels]`, as numbers of the machine."""
    kind = np.uint8 if header.bits <= 8 else np.uint16
    channels = header.colours + header.alpha
    values = np.empty((header.height, header.width, channels), kind)
    for part in _parts(data, header):
        pixels = _pixels(part, header, where)
        rows = slice(part.row, part.row + header.part[1])
        columns = slice(part.column, part.column + header.part[0])
        wanted = slice(part.plane, part.plane + 1) if header.planar else slice(None)
        target = values[rows, columns, wanted]
        target[:] = pixels[: target.shape[0], : target.shape[1], : target.shape[2]]
    return values


def _parts(data: bytes, header: TiffHeader) -> Iterator[_Part]:
    width, height = header.part
    places = iter(header.places)
    for plane in range(header.colours + header.alpha if header.planar else 1):
        for row in range(0, header.height, height):
            rows = height if header.tiled else min(height, header.height - row)
            for column in range(0, header.width, width):
                start, length = next(places)
                yield _Part(plane, row, column, rows, data[start : start + length])


def _pixels(part: _Part, header: TiffHeader, where: object) -> npt.NDArray[Any]:
    """One part: `[rows, width, channels]`."""
    if header.compression == JPEG:
        return _jpeg(part, header, where)
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
    values = _unpacked(rows, header.bits, header.order, width * channels).reshape(part.rows, width, channels)
    if header.predictor == 2:
        top = values.dtype.type((1 << header.bits) - 1)
        values = np.cumsum(values, axis=1, dtype=values.dtype) & top
    return values


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
    rest = 255 - pixels.astype(np.uint32)
    return ((rest[:, :, :3] * rest[:, :, 3:] + 127) // 255).astype(np.uint8)
