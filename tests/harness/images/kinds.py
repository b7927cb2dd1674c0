"""Whole image files of every format, depth and compression that is read, each of a few small pictures."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from tests.unit.runtime.images.files import bmp, png, rows_of_bits

__all__ = ["KINDS", "PICTURES", "whole"]

#: How many pictures there are of each kind.
PICTURES = 4
_HEIGHT, _WIDTH = 88, 120

Picture = npt.NDArray[np.uint8]


@functools.cache
def _picture(number: int) -> Picture:
    """A grained surface with an edge, `[H, W, 3]`: detail everywhere, as in a photo of a part."""
    rng = np.random.default_rng(number)
    grain = cv2.GaussianBlur(rng.normal(0, 40, (_HEIGHT, _WIDTH, 3)).astype(np.float32), (0, 0), 1.2) * 3 + 120
    grain[:, _WIDTH // 2 :] -= 50
    return np.clip(grain, 0, 255).astype(np.uint8)


def _by_pillow(mode: str = "RGB", **options: object) -> Callable[[Picture], bytes]:
    def write(picture: Picture) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(picture).convert(mode).save(buffer, **options)
        return buffer.getvalue()

    return write


def _by_tifffile(bits: int = 8, **options: object) -> Callable[[Picture], bytes]:
    def write(picture: Picture) -> bytes:
        stored = picture if bits == 8 else picture * np.uint16(256) + picture[::-1]
        if options.get("planarconfig") == "separate":
            stored = np.moveaxis(stored, 2, 0)
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, stored, photometric="rgb", **options)
        return buffer.getvalue()

    return write


def _png(bits: int, channels: int, colour: int, *, interlaced: bool = False) -> Callable[[Picture], bytes]:
    def write(picture: Picture) -> bytes:
        values = picture[:, :, :1] if channels == 1 else picture
        if channels == 4:
            values = np.dstack([picture, picture[:, :, 0]])
        stored = values.astype(np.uint16) << 8 | values[::-1] if bits == 16 else values >> (8 - bits)
        return png(stored, bits, colour, interlaced=interlaced)

    return write


def _bmp_of_runs(picture: Picture) -> bytes:
    rows = [bytes(byte for value in row for byte in (1, value)) + b"\0\0" for row in picture[::-1, :, 0]]
    palette = bytes(part for value in range(256) for part in (value, value, value, 0))
    data = bmp([b"".join(rows) + b"\0\1"], picture.shape[:2], 8, palette, compression=1)
    return data[:2] + len(data).to_bytes(4, "little") + data[6:]


def _bmp_of_bits(picture: Picture) -> bytes:
    rows = [row.tobytes() for row in rows_of_bits(picture[:, :, 0] >> 4, 4)]
    palette = bytes(part for value in range(16) for part in (17 * value, 17 * value, 17 * value, 0))
    return bmp(rows, picture.shape[:2], 4, palette)


#: How each kind is written.
KINDS: dict[str, Callable[[Picture], bytes]] = {
    "JPEG": _by_pillow(format="JPEG", quality=85),
    "JPEG 4:4:4": _by_pillow(format="JPEG", quality=95, subsampling=0),
    "JPEG gray": _by_pillow("L", format="JPEG", quality=85),
    "JPEG CMYK": _by_pillow("CMYK", format="JPEG", quality=85),
    "JPEG restarts": _by_pillow(format="JPEG", quality=85, restart_marker_rows=1),
    "JPEG progressive": _by_pillow(format="JPEG", quality=85, progressive=True),
    "JPEG progressive gray": _by_pillow("L", format="JPEG", quality=85, progressive=True),
    "PNG 8 RGB": _by_pillow(format="PNG"),
    "PNG 8 palette": _by_pillow("P", format="PNG"),
    "PNG 8 RGBA": _png(8, 4, 6),
    "PNG 16 RGB": _png(16, 3, 2),
    "PNG 16 gray": _png(16, 1, 0),
    "PNG 4 gray": _png(4, 1, 0),
    "PNG 1 gray": _png(1, 1, 0),
    "PNG interlaced": _png(8, 3, 2, interlaced=True),
    "BMP 24": _by_pillow(format="BMP"),
    "BMP 8 palette": _by_pillow("P", format="BMP"),
    "BMP 4 palette": _bmp_of_bits,
    "BMP runs": _bmp_of_runs,
    "WebP lossy": _by_pillow(format="WEBP", quality=85),
    "WebP lossless": _by_pillow(format="WEBP", lossless=True),
    "WebP alpha": _by_pillow("RGBA", format="WEBP", quality=85),
    "TIFF stored": _by_tifffile(rowsperstrip=8),
    "TIFF stored 16": _by_tifffile(16, rowsperstrip=8, byteorder=">"),
    "TIFF stored 1": _by_pillow("1", format="TIFF"),
    "TIFF planes apart": _by_tifffile(rowsperstrip=8, planarconfig="separate"),
    "TIFF Deflate": _by_tifffile(rowsperstrip=8, compression="deflate"),
    "TIFF Deflate 16 tiles": _by_tifffile(16, tile=(32, 32), compression="deflate", predictor=True, bigtiff=True),
    "TIFF Deflate palette": _by_pillow("P", format="TIFF", compression="tiff_adobe_deflate"),
    "TIFF LZW": _by_tifffile(rowsperstrip=8, compression="lzw"),
    "TIFF LZW 16": _by_tifffile(16, rowsperstrip=8, compression="lzw", predictor=True),
    "TIFF PackBits": _by_tifffile(rowsperstrip=8, compression="packbits"),
    "TIFF LZMA": _by_tifffile(rowsperstrip=8, compression="lzma"),
    "TIFF ZSTD": _by_tifffile(rowsperstrip=8, compression="zstd"),
    "TIFF JPEG": _by_pillow(format="TIFF", compression="jpeg", tiffinfo={278: 16}),
    "TIFF JPEG gray": _by_pillow("L", format="TIFF", compression="jpeg", tiffinfo={278: 16}),
}


@functools.cache
def whole(kind: str, number: int) -> bytes:
    """A whole file.

    Args:
        kind: One of `KINDS`.
        number: Of the picture, 0 to `PICTURES - 1`.
    """
    return KINDS[kind](_picture(number))
