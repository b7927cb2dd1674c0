"""Reading an image or a mask from a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import ImageError, InputWarning
from mvrec_edge.runtime.images import bmp, exif, jpeg, png, tiff, webp
from mvrec_edge.runtime.images.header import ImageHeader, damaged
from mvrec_edge.runtime.images.image_files import read_bytes
from mvrec_edge.runtime.images.pixels import to_eight_bits
from mvrec_edge.runtime.images.quiet import quiet_opencv

__all__ = ["IMAGE_SUFFIXES", "read_image", "read_mask", "read_mask_bytes"]

# What folders are searched for; a file is read by its content, whatever its name.
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# Three channels in their own depth, turned as EXIF says; IMREAD_UNCHANGED would leave the image unturned.
_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
_LOSSY_THRESHOLD = 128


def read_image(
    path: str | os.PathLike[str], *, warn: Callable[[InputWarning], None] | None = None
) -> npt.NDArray[np.uint8]:
    """Reads an image.

    JPEG, PNG, BMP, TIFF (its first page) and WebP are recognised by their content. Gray becomes three equal
    channels, a palette becomes colours, alpha is dropped, 16 bits are scaled to 8 (65535 to 255, rounded), and the
    image is turned as its EXIF orientation says. The size is read from the header and bounded before any pixel is
    decoded: at most 2**30 bytes of file and 2**27 pixels.

    Args:
        path: The file.
        warn: Given what is odd about the file, though its pixels are whole.

    Returns:
        uint8 `[H, W, 3]`, RGB, contiguous.

    Raises:
        ImageError: The file is missing, unreadable, empty, too large, no image, truncated or damaged, or its
            pixels are neither 8-bit nor 16-bit numbers.
    """
    path = Path(path)
    data = read_bytes(path)
    header = _header(data, path, warn)
    pixels = _decode(data, header, path)
    return cv2.cvtColor(_eight_bits(pixels, path), cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def read_mask(
    path: str | os.PathLike[str], *, warn: Callable[[InputWarning], None] | None = None
) -> npt.NDArray[np.uint8]:
    """Reads a mask.

    Every pixel with a channel above 0 belongs to the defect, whatever the depth. In a lossy file (JPEG, lossy
    WebP, JPEG inside TIFF) edges carry noise, and a pixel needs a channel of at least 128. Alpha is not looked at.
    Turning and bounds are as for `read_image`.

    Args:
        path: The file.
        warn: As for `read_image`.

    Returns:
        uint8 `[H, W]`, 0 or 255; all zero where nothing is marked.

    Raises:
        ImageError: As for `read_image`; or all colours are the same and only the alpha channel has a shape, so
            that it is not known which of the two was meant.
    """
    path = Path(path)
    return read_mask_bytes(read_bytes(path), path, warn=warn)


def read_mask_bytes(
    data: bytes, where: object, *, warn: Callable[[InputWarning], None] | None = None
) -> npt.NDArray[np.uint8]:
    """Reads a mask from the bytes of an image file, as a label file may hold them.

    Args:
        data: A whole image file. Its size in bytes is the caller's to bound; its pixels are bounded here.
        where: Where the bytes come from, for messages.
        warn: As for `read_image`.

    Returns:
        As `read_mask`.

    Raises:
        ImageError: As for `read_mask`.
    """
    if not data:
        raise ImageError("the image file is empty", where=where, fix="copy or save it again")
    header = _header(data, where, warn)
    pixels = _decode(data, header, where)
    threshold = _LOSSY_THRESHOLD if header.lossy else 1
    if header.lossy:
        pixels = _eight_bits(pixels, where)
    _check_depth(pixels, where)
    mask = np.zeros(pixels.shape[:2], np.bool_)
    for channel in range(pixels.shape[2]):
        mask |= pixels[:, :, channel] >= threshold
    if header.alpha and (mask.all() or not mask.any()) and _alpha_has_a_shape(data):
        raise ImageError(
            "the mask has the same colour everywhere and a shape only in its alpha channel",
            where=where,
            fix="save the mask as a gray image, the defect white on black",
        )
    return np.where(mask, np.uint8(255), np.uint8(0))


def _header(data: bytes, where: object, warn: Callable[[InputWarning], None] | None) -> ImageHeader:
    del warn
    if data.startswith(jpeg.SIGNATURE):
        header = jpeg.read_header(data, where)
    elif data.startswith(png.SIGNATURE):
        header = png.read_header(data, where)
    elif data.startswith(tiff.SIGNATURES):
        header = tiff.read_header(data, where)
    elif webp.is_webp(data):
        header = webp.read_header(data, where)
    elif data.startswith(bmp.SIGNATURE):
        header = bmp.read_header(data, where)
    else:
        raise ImageError(
            "is not a JPEG, PNG, BMP, TIFF or WebP file", where=where, fix="save it in one of these formats"
        )
    header.check_size(where)
    return header


def _decode(data: bytes, header: ImageHeader, where: object) -> npt.NDArray[Any]:
    """Decodes to `[H, W, 3]`, BGR, in the file's own depth."""
    turn_here = header.format == "WebP"
    flags = _FLAGS | (cv2.IMREAD_IGNORE_ORIENTATION if turn_here else 0)
    start, stop = header.ignored
    if stop > start:
        data = data[:start] + data[stop:]
    pixels: npt.NDArray[Any] | None
    with quiet_opencv():
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error as error:
            raise ImageError(
                f"cannot be decoded as {header.format}", where=where, fix="copy or save it again"
            ) from error
    if pixels is None:
        raise ImageError(f"cannot be decoded as {header.format}", where=where, fix="copy or save it again")
    if sorted(pixels.shape[:2]) != sorted((header.height, header.width)):
        raise damaged(where, f"the header says {header.width} x {header.height} pixels, the content does not")
    return exif.upright(pixels, header.orientation) if turn_here else pixels


def _check_depth(pixels: npt.NDArray[Any], where: object) -> None:
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"the pixels are {pixels.dtype}, not 8-bit or 16-bit numbers",
            where=where,
            fix="save the image with 8 or 16 bits a channel",
        )


def _eight_bits(pixels: npt.NDArray[Any], where: object) -> npt.NDArray[np.uint8]:
    _check_depth(pixels, where)
    return to_eight_bits(pixels)


def _alpha_has_a_shape(data: bytes) -> bool:
    with quiet_opencv():
        everything = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if everything is None or everything.ndim != 3 or everything.shape[2] not in (2, 4):
        return False
    alpha = everything[:, :, -1]
    return bool(alpha.min() != alpha.max())
