"""What an image file says of itself before any pixel is decoded, and what comes out of its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import DamagedImageError, ImageError

__all__ = [
    "MAX_PIXELS",
    "ImageHeader",
    "Samples",
    "check_numbers",
    "damaged",
    "mask_by_palette",
    "not_read",
    "truncated",
]

MAX_PIXELS = 1 << 27


@dataclass(frozen=True)
class ImageHeader:
    """The facts that the readers need from a file's header.

    Attributes:
        format: `"JPEG"`, `"PNG"`, `"BMP"`, `"TIFF"` or `"WebP"`.
        width: Pixels in a row, as stored: before any EXIF rotation.
        height: Rows, as stored.
        lossy: Whether the compression changes pixel values, so that a mask's edges carry noise.
        alpha: Whether pixels may differ in what shows of them: an alpha channel, or transparent colours.
        orientation: The EXIF orientation, 1 to 8.
        palette: uint8 `[N, 4]`, RGBA, where pixels are numbers of its rows.
    """

    format: str
    width: int
    height: int
    lossy: bool = False
    alpha: bool = False
    orientation: int = 1
    palette: npt.NDArray[np.uint8] | None = None

    def check_size(self, where: object) -> None:
        """Refuses sizes that nobody means.

        Raises:
            ImageError: There are no pixels, or more than `MAX_PIXELS`.
        """
        if self.width < 1 or self.height < 1:
            raise damaged(where, f"the header says {self.width} x {self.height} pixels")
        if self.width * self.height > MAX_PIXELS:
            raise ImageError(
                f"the image has {self.width} x {self.height} pixels, more than {MAX_PIXELS}",
                where=where,
                fix="cut the image into tiles",
            )


@dataclass(frozen=True)
class Samples:
    """Decoded pixels, as stored: not turned, not scaled.

    Attributes:
        colours: `[H, W, 1]` (gray) or `[H, W, 3]` (RGB; any order in a mask), uint8 or uint16, 0 being black.
        bits: How many bits a value has: `2**bits - 1` is white.
        alpha: `[H, W]`, 0 where nothing of a pixel shows; None where there is none, or nobody asked for it.
        used: For each row of the palette whether a pixel has it; None where there is no palette, or nobody asked.
    """

    colours: npt.NDArray[Any]
    bits: int
    alpha: npt.NDArray[Any] | None = None
    used: npt.NDArray[np.bool_] | None = None


def mask_by_palette(indices: npt.NDArray[Any], header: ImageHeader, where: object) -> Samples:
    """A mask's pixels from the rows of its palette: the strongest channel of each, since that is what marks.

    Args:
        indices: `[H, W]`.
        header: That of the file, which has a palette.
        where: The file, for messages.

    Raises:
        ImageError: A pixel has a row that is not there.
    """
    palette = header.palette
    if palette is None:
        raise damaged(where, "the file has no palette")
    check_numbers(indices, palette, where)
    used = np.zeros(len(palette), np.bool_)
    # Row by row: numpy counts in eight bytes for each pixel.
    for row in indices:
        used[row] = True
    strongest = palette[:, :3].max(axis=1)[indices]
    alpha = palette[:, 3][indices] if header.alpha else None
    return Samples(strongest[:, :, np.newaxis], 8, alpha=alpha, used=used)


def check_numbers(indices: npt.NDArray[Any], palette: npt.NDArray[np.uint8], where: object) -> None:
    """Raises `DamagedImageError` where a pixel has a row of the palette that is not there."""
    if (most := int(indices.max())) >= len(palette):
        raise damaged(where, f"a pixel has colour {most} of a palette that ends before it")


def truncated(where: object, detail: str) -> DamagedImageError:
    """The error for a file whose end is missing."""
    return DamagedImageError(f"the file is truncated: {detail}", where=where, fix="copy or save it again")


def damaged(where: object, detail: str, *, fix: str = "copy or save it again") -> DamagedImageError:
    """The error for a file whose content contradicts itself."""
    return DamagedImageError(f"the file is damaged: {detail}", where=where, fix=fix)


def not_read(where: object, detail: str, *, fix: str = "save it as PNG") -> ImageError:
    """The error for a whole file of a kind that is not read."""
    return ImageError(detail, where=where, fix=fix)
