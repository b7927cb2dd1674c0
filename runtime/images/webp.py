"""WebP: the RIFF container and its chunks (RFC 9649)."""

from __future__ import annotations

from mvrec_edge.runtime.images.exif import orientation_of
from mvrec_edge.runtime.images.header import MAX_PIXELS, ImageHeader, damaged, not_read, truncated

__all__ = ["is_webp", "read_header"]

_ALPHA_FLAG = 0x10
# The decoder holds the picture twice.
_MOST_PIXELS = 1 << 26


def is_webp(data: bytes) -> bool:
    """Whether the file begins as a WebP file."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def read_header(data: bytes, where: object) -> ImageHeader:
    """Walks the chunks of the container.

    Args:
        data: The whole file.
        where: The file, for messages.

    Raises:
        ImageError: The file is shorter than it says, or holds no picture.
    """
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise truncated(where, f"the WebP file has {len(data)} of {end} bytes")
    size: tuple[int, int] | None = None
    lossy = alpha = False
    orientation = 1
    place = 12
    while place + 8 <= end:
        kind = data[place : place + 4]
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        start, stop = place + 8, place + 8 + length
        if stop > end:
            raise truncated(where, "it ends inside a WebP chunk")
        if kind == b"VP8X" and length >= 10:
            alpha = bool(data[start] & _ALPHA_FLAG)
        elif kind == b"VP8 " and length >= 10 and size is None:
            # Three bytes of frame tag and three of start code come first.
            size = _pair(data, start + 6, 0x3FFF)
            lossy = True
        elif kind == b"VP8L" and length >= 5 and size is None:
            bits = int.from_bytes(data[start + 1 : start + 5], "little")
            size = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
            alpha = alpha or bool(bits >> 28 & 1)
        elif kind == b"ANIM":
            raise not_read(where, "an animated WebP file is not one image", fix="save the picture that is meant as PNG")
        elif kind == b"EXIF":
            orientation = orientation_of(data[start:stop])
        # Chunks begin at even places.
        place = stop + (length & 1)
    if size is None:
        raise damaged(where, "the WebP file holds no picture")
    if _MOST_PIXELS < size[0] * size[1] <= MAX_PIXELS:
        what = f"{size[0]} x {size[1]} pixels, more than {_MOST_PIXELS}, are not read of a WebP file"
        raise not_read(where, what)
    return ImageHeader("WebP", size[0], size[1], lossy=lossy, alpha=alpha, orientation=orientation)


def _pair(data: bytes, place: int, mask: int) -> tuple[int, int]:
    width = int.from_bytes(data[place : place + 2], "little") & mask
    height = int.from_bytes(data[place + 2 : place + 4], "little") & mask
    return width, height
