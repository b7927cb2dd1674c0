"""Reading an image or a mask from a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import DamagedImageError, ImageError, InputWarning, UsageError
from mvrec_edge.runtime.images import bmp, jpeg, opencv, png, tiff, tiff_pixels, webp
from mvrec_edge.runtime.images.exif import upright
from mvrec_edge.runtime.images.foreign import name_of
from mvrec_edge.runtime.images.header import ImageHeader, Samples
from mvrec_edge.runtime.images.image_files import read_bytes
from mvrec_edge.runtime.images.masks import marked
from mvrec_edge.runtime.images.missing import SalvageWarning
from mvrec_edge.runtime.images.pixels import scaled, to_rgb_uint8

__all__ = ["DAMAGED", "IMAGE_SUFFIXES", "check_damaged", "decode_image", "read_image", "read_mask", "read_mask_bytes"]

# What folders are searched for; a file is read by its content, whatever its name.
IMAGE_SUFFIXES = (".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
#: What may be done with an image that is damaged.
DAMAGED = ("refuse", "warn")


def read_image(
    path: str | os.PathLike[str],
    *,
    warn: Callable[[InputWarning], None] | None = None,
    damaged: str = "refuse",
) -> npt.NDArray[np.uint8]:
    """Reads an image.

    JPEG, PNG, BMP, TIFF (its first page) and WebP are recognised by their content. Gray becomes three equal
    channels, a palette becomes colours, alpha is dropped, 16 bits are scaled to 8 (65535 to 255, rounded), and the
    image is turned as its EXIF orientation says. The size is read from the header and bounded before any pixel is
    decoded: at most 2**30 bytes of file and 2**27 pixels.

    Args:
        path: The file.
        warn: Given what is odd about the file, though its pixels are whole; and a `SalvageWarning` where they are not.
        damaged: `"refuse"`, or `"warn"` to use a damaged JPEG as far as libjpeg can decode it. Files of other formats
            are refused all the same: behind the place of their damage nothing is left to use.

    Returns:
        uint8 `[H, W, 3]`, RGB, contiguous.

    Raises:
        ImageError: The file is missing, unreadable, empty, too large, no image, truncated or damaged, or its
            pixels are neither 8-bit nor 16-bit numbers.
        UsageError: `damaged` has no such value.
    """
    check_damaged(damaged)
    path = Path(path)
    return decode_image(read_bytes(path), path, warn=warn, damaged=damaged)


def decode_image(
    data: bytes, where: object, *, warn: Callable[[InputWarning], None] | None = None, damaged: str = "refuse"
) -> npt.NDArray[np.uint8]:
    """Decodes an image from the bytes of its file.

    Args:
        data: A whole image file. Its size in bytes is the caller's to bound; its pixels are bounded here.
        where: Where the bytes come from, for messages.
        warn: As for `read_image`.
        damaged: As for `read_image`.

    Returns:
        As `read_image`.

    Raises:
        ImageError: As for `read_image`.
    """
    try:
        header = _header(data, where)
        samples = _decode(data, header, where, warn, for_mask=False)
    except DamagedImageError as reason:
        if not data.startswith(jpeg.SIGNATURE):
            raise
        header, samples = _salvaged(data, where, reason, warn, damaged)
    return to_rgb_uint8(upright(scaled(samples.colours, samples.bits), header.orientation))


def check_damaged(damaged: str) -> None:
    """Raises `UsageError` where a damaged image cannot be taken so."""
    if damaged not in DAMAGED:
        raise UsageError(f"a damaged image cannot be taken for '{damaged}'", fix="one of " + ", ".join(DAMAGED))


def read_mask(
    path: str | os.PathLike[str], *, warn: Callable[[InputWarning], None] | None = None
) -> npt.NDArray[np.uint8]:
    """Reads a mask.

    Every pixel with a channel above 0 belongs to the defect, whatever the depth. In a lossy file (JPEG, lossy
    WebP, JPEG inside TIFF) edges carry noise, and a pixel needs a channel of at least 128. Alpha is not looked at.
    Turning and bounds are as for `read_image`. A damaged mask is always refused: what it marks is not known.

    Args:
        path: The file.
        warn: As for `read_image`.

    Returns:
        uint8 `[H, W]`, 0 or 255; all zero where nothing is marked.

    Raises:
        ImageError: As for `read_image`; or the mask could mean two things, looks like a photo, or is a lossy file
            whose values are gray at most (see `marked`).
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
    header = _header(data, where)
    samples = _decode(data, header, where, warn, for_mask=True)
    return upright(marked(samples, header, where, warn), header.orientation)


def _salvaged(
    data: bytes, where: object, reason: DamagedImageError, warn: Callable[[InputWarning], None] | None, damaged: str
) -> tuple[ImageHeader, Samples]:
    """What is there of a damaged JPEG; raises what was found where it is not wanted, or nothing is there."""
    if damaged == "refuse":
        fix = f"{reason.fix}; or give --damaged warn to use it as far as it can be decoded"
        raise DamagedImageError(reason.what, where=where, fix=fix) from reason
    salvaged = jpeg.salvage(data, where)
    if salvaged is None:
        raise reason
    if warn is not None:
        fix = "copy it again, or find out why the camera's program writes it so"
        found = "; ".join(filter(None, (salvaged.missing.in_words(), salvaged.coarse)))
        what = f"{reason.what}; the image is used all the same: {found}"
        warn(SalvageWarning(what, str(where), fix, salvaged.missing))
    return salvaged.header, Samples(salvaged.pixels, 8)


def _header(data: bytes, where: object) -> ImageHeader:
    header: ImageHeader
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
        name = name_of(data)
        what = f"is {name}, which is not read" if name else "is not a JPEG, PNG, BMP, TIFF or WebP file"
        raise ImageError(what, where=where, fix="save it as PNG" if name else "save it in one of these formats")
    header.check_size(where)
    return header


def _decode(
    data: bytes, header: ImageHeader, where: object, warn: Callable[[InputWarning], None] | None, *, for_mask: bool
) -> Samples:
    if isinstance(header, tiff.TiffHeader):
        if header.more_pages and warn is not None:
            what = "the TIFF file has more than one page, and the first one is read"
            warn(InputWarning(what, str(where), "save each page as a file of its own"))
        if header.unknown and not for_mask and warn is not None:
            what = f"of the {header.samples} channels of the TIFF file, {header.colours} are read as its colours"
            warn(InputWarning(what, str(where), "where the others matter, save them as files of their own"))
        return tiff_pixels.decode(data, header, where, for_mask=for_mask)
    if not isinstance(header, jpeg.JpegHeader):
        return opencv.decode(data, header, where, for_mask=for_mask)
    pixels, left_out = jpeg.decode(data, header, where)
    if left_out and warn is not None:
        plural = "bytes that belong" if left_out > 1 else "byte that belongs"
        what = f"the JPEG file has {left_out} {plural} to no part of it; the picture is whole without"
        warn(InputWarning(what, str(where), "where a camera's program writes such files, let it write PNG"))
    return Samples(pixels, 8)
