"""PNG, BMP and WebP: pixels by OpenCV, from files whose headers have been checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.images import bmp, png, png_bands, png_stream
from mvrec_edge.runtime.images.header import ImageHeader, Samples, check_numbers, damaged, mask_by_palette, not_read
from mvrec_edge.runtime.images.pixels import scaled
from mvrec_edge.runtime.images.quiet import quiet_opencv

__all__ = ["decode"]

# Three channels in their own depth, as stored: turning is done in one place for all formats.
_COLOURS = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION

# Pixels that are turned at once, and the bytes of a mask's values and alpha.
_BAND = 1 << 20
_MOST_OF_A_MASK = 1 << 27


def decode(data: bytes, header: ImageHeader, where: object, *, for_mask: bool) -> Samples:
    """Decodes the pixels.

    Args:
        data: The whole file.
        header: What the format's `read_header` found in it.
        where: The file, for messages.
        for_mask: Whether alpha and the numbers of palette colours are wanted as well.

    Raises:
        ImageError: OpenCV cannot decode it, or finds another size than the header says.
    """
    if isinstance(header, png.PngHeader) and png_bands.wants_bands(header, where):
        return _in_bands(data, header, where, for_mask=for_mask)
    if for_mask and header.palette is not None:
        return mask_by_palette(_numbers(data, header, where), header, where)
    plain = (
        png_stream.for_the_decoder(data, header, where, numbered=False) if isinstance(header, png.PngHeader) else data
    )
    pixels = _pixels(plain, header, where, _COLOURS)
    # A mask is marked by any channel, whatever their order.
    colours = pixels if for_mask else _turned_to_rgb(pixels)
    alpha = _alpha(plain, pixels, header, where) if for_mask and header.alpha else None
    return Samples(colours, 8 * pixels.itemsize, alpha=alpha)


def _turned_to_rgb(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same memory with its channels in the other order, so that a large image is not there twice."""
    rows = max(1, _BAND // pixels.shape[1])
    for first in range(0, len(pixels), rows):
        band = pixels[first : first + rows]
        band[:] = cv2.cvtColor(band, cv2.COLOR_BGR2RGB)
    return pixels


def _in_bands(data: bytes, header: png.PngHeader, where: object, *, for_mask: bool) -> Samples:
    """A large PNG: an image in 8 bits; of a mask, the strongest channel of each pixel, and alpha."""
    bands = png_bands.bands_of(data, header, where, lambda file: _decoded(file, header, where, cv2.IMREAD_UNCHANGED))
    if for_mask:
        return _mask_in_bands(bands, header, where)
    colours = 3 if header.channels >= 3 or header.palette is not None else 1
    image = np.empty((header.height, header.width, colours), np.uint8)
    for rows, band in _placed(bands):
        if header.palette is not None:
            check_numbers(band, header.palette, where)
            image[rows] = header.palette[:, :3][band[:, :, 0]]
        else:
            image[rows] = scaled(band[:, :, :colours], 8 * band.itemsize)
    return Samples(image, 8)


def _mask_in_bands(bands: Iterator[npt.NDArray[Any]], header: png.PngHeader, where: object) -> Samples:
    kind = np.uint16 if header.pixel_bits == 16 * header.channels else np.uint8
    size = (header.height, header.width)
    colours = header.channels - (header.channels in (2, 4))
    # The one colour that is transparent, if any, shows in bits.
    alpha_kind = None if not header.alpha or header.palette is not None else np.bool_ if header.transparent else kind
    bytes_each = np.dtype(kind).itemsize + (0 if alpha_kind is None else np.dtype(alpha_kind).itemsize)
    if header.width * header.height * bytes_each > _MOST_OF_A_MASK:
        what = f"the mask has {header.width} x {header.height} pixels, with more than 8 bits or alpha"
        raise not_read(where, what, fix="save the mask as a gray image of 8 bits")
    values = np.empty(size, kind)
    alpha = None if alpha_kind is None else np.empty(size, alpha_kind)
    for rows, band in _placed(bands):
        values[rows] = band[:, :, :colours].max(axis=2)
        if alpha is not None and header.transparent:
            alpha[rows] = (band != np.array(header.transparent)).any(axis=2)
        elif alpha is not None:
            alpha[rows] = band[:, :, -1]
    if header.palette is not None:
        return mask_by_palette(values, header, where)
    return Samples(values[:, :, np.newaxis], 8 * values.itemsize, alpha=alpha)


def _placed(bands: Iterator[npt.NDArray[Any]]) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
    """Some rows after the others, with their places: what is computed of them needs several times their memory."""
    first = 0
    for band in bands:
        at_once = max(1, _BAND // band.shape[1])
        for start in range(0, len(band), at_once):
            rows = band[start : start + at_once]
            yield slice(first, first + len(rows)), rows
            first += len(rows)


def _alpha(data: bytes, pixels: npt.NDArray[Any], header: ImageHeader, where: object) -> npt.NDArray[Any] | None:
    if isinstance(header, png.PngHeader) and header.transparent:
        shows: npt.NDArray[np.bool_] = (pixels != np.array(header.transparent[::-1])).any(axis=2)
        return shows
    everything = _pixels(data, header, where, cv2.IMREAD_UNCHANGED)
    return everything[:, :, -1] if everything.ndim == 3 and everything.shape[2] in (2, 4) else None


def _numbers(data: bytes, header: ImageHeader, where: object) -> npt.NDArray[Any]:
    """The rows of the palette, `[H, W]`: OpenCV gives colours alone, so it is given a palette of numbers."""
    if isinstance(header, png.PngHeader):
        data = png_stream.for_the_decoder(data, header, where, numbered=True)
    elif isinstance(header, bmp.BmpHeader):
        data = bmp.with_numbers(data, header)
    return _pixels(data, header, where, _COLOURS)[:, :, 0]


def _pixels(data: bytes, header: ImageHeader, where: object, flags: int) -> npt.NDArray[Any]:
    pixels = _decoded(data, header, where, flags)
    if pixels.shape[:2] != (header.height, header.width):
        raise damaged(where, f"the header says {header.width} x {header.height} pixels, the content does not")
    return pixels


def _decoded(data: bytes, header: ImageHeader, where: object, flags: int) -> npt.NDArray[Any]:
    pixels: npt.NDArray[Any] | None
    with quiet_opencv():
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except (cv2.error, MemoryError) as error:
            raise damaged(where, f"it cannot be decoded as {header.format}") from error
    if pixels is None:
        raise damaged(where, f"it cannot be decoded as {header.format}")
    return pixels
