"""PNG, BMP and WebP: pixels by OpenCV, from files whose headers have been checked."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.images import bmp, png, png_stream
from mvrec_edge.runtime.images.header import ImageHeader, Samples, damaged, mask_by_palette
from mvrec_edge.runtime.images.quiet import quiet_opencv

__all__ = ["decode"]

# Three channels in their own depth, as stored: turning is done in one place for all formats.
_COLOURS = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION


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
    if for_mask and header.palette is not None:
        return mask_by_palette(_numbers(data, header, where), header, where)
    plain = (
        png_stream.for_the_decoder(data, header, where, numbered=False) if isinstance(header, png.PngHeader) else data
    )
    pixels = _pixels(plain, header, where, _COLOURS)
    # A mask is marked by any channel, whatever their order.
    colours = pixels if for_mask else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    alpha = _alpha(plain, pixels, header, where) if for_mask and header.alpha else None
    return Samples(colours, 8 * pixels.itemsize, alpha=alpha)


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
    pixels: npt.NDArray[Any] | None
    with quiet_opencv():
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except (cv2.error, MemoryError) as error:
            raise damaged(where, f"it cannot be decoded as {header.format}") from error
    if pixels is None:
        raise damaged(where, f"it cannot be decoded as {header.format}")
    if pixels.shape[:2] != (header.height, header.width):
        raise damaged(where, f"the header says {header.width} x {header.height} pixels, the content does not")
    return pixels
