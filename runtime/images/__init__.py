"""Images and masks from files and arrays, checked: what is damaged is refused, and never filled in.

path --read_image--> uint8 [H, W, 3] RGB        path --read_mask--> uint8 [H, W], 0 or 255
"""

from __future__ import annotations

from mvrec_edge.runtime.images.header import MAX_PIXELS
from mvrec_edge.runtime.images.image_files import MAX_FILE_BYTES
from mvrec_edge.runtime.images.pixels import to_rgb_uint8
from mvrec_edge.runtime.images.reading import IMAGE_SUFFIXES, read_image, read_mask, read_mask_bytes

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "read_image",
    "read_mask",
    "read_mask_bytes",
    "to_rgb_uint8",
]
