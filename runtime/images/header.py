"""What an image file says of itself before any pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from mvrec_edge.runtime.errors import ImageError

__all__ = ["MAX_PIXELS", "ImageHeader", "damaged", "truncated"]

MAX_PIXELS = 1 << 27


@dataclass(frozen=True)
class ImageHeader:
    """The facts that the readers need from a file's header.

    Attributes:
        format: `"JPEG"`, `"PNG"`, `"BMP"`, `"TIFF"` or `"WebP"`.
        width: Pixels in a row, as stored: before any EXIF rotation.
        height: Rows, as stored.
        lossy: Whether the compression changes pixel values, so that a mask's edges carry noise.
        alpha: Whether there is an alpha channel.
        orientation: The EXIF orientation, 1 to 8, that the reader has to apply itself; 1 where OpenCV does.
        ignored: The bytes, from and up to, that are left out of what the decoder sees.
    """

    format: str
    width: int
    height: int
    lossy: bool = False
    alpha: bool = False
    orientation: int = 1
    ignored: tuple[int, int] = (0, 0)

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


def truncated(where: object, detail: str) -> ImageError:
    """The error for a file whose end is missing."""
    return ImageError(f"the file is truncated: {detail}", where=where, fix="copy or save it again")


def damaged(where: object, detail: str) -> ImageError:
    """The error for a file whose content contradicts itself."""
    return ImageError(f"the file is damaged: {detail}", where=where, fix="copy or save it again")
