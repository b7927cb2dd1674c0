"""Pixels of images that were decoded once and are needed again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.images import read_image

__all__ = ["MOST_KEPT_BYTES", "KeptImages"]

#: Pixels that are kept of a labelled set: 85 images of a megapixel.
MOST_KEPT_BYTES = 1 << 28


class KeptImages:
    """Images that reading a labelled set has decoded, for encoding it.

    Every image is decoded when a set is read, since only decoding finds what is damaged; which of them are encoded is
    known when all have been read. So the first ones are kept as long as they fit into `most` bytes, and an image that
    did not fit is decoded again when it is asked for. Memory is bounded however large the set is. None is given up for
    another: a set is gone through in order, where the one used longest ago is the one needed next.

    Args:
        most: Bytes of pixels at most, `H * W * 3` for each image; 0 keeps none.

    Attributes:
        kept_bytes: Bytes of pixels that are kept.
    """

    def __init__(self, most: int = MOST_KEPT_BYTES) -> None:
        self.kept_bytes = 0
        self._most = most
        self._pixels: dict[Path, npt.NDArray[np.uint8]] = {}
        self._damaged: dict[Path, str] = {}

    def keep(self, path: Path, pixels: npt.NDArray[np.uint8], *, damaged: str = "refuse") -> None:
        """Keeps an image where there is room.

        Args:
            path: Its file.
            pixels: uint8 `[H, W, 3]`, RGB, as `read_image` returned it.
            damaged: What it was told of damaged images, for reading this one again.
        """
        self._damaged[path] = damaged
        if path not in self._pixels and self.kept_bytes + pixels.nbytes <= self._most:
            self._pixels[path] = pixels
            self.kept_bytes += pixels.nbytes

    def read(self, path: Path) -> npt.NDArray[np.uint8]:
        """The pixels of an image, uint8 `[H, W, 3]`, RGB: those kept, or else those of the file.

        Raises:
            ImageError: The image was not kept, and cannot be read any more.
        """
        kept = self._pixels.get(path)
        return read_image(path, damaged=self._damaged.get(path, "refuse")) if kept is None else kept
