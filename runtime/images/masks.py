"""Which pixels of a mask image are marked, and which masks could mean two things."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.images.header import ImageHeader, Samples
from mvrec_edge.runtime.images.pixels import scaled

__all__ = ["marked"]

_LOSSY_THRESHOLD = 128
_GRAY = "save the mask as a gray image, the defect white on black"


def marked(samples: Samples, header: ImageHeader, where: object) -> npt.NDArray[np.uint8]:
    """Finds the marked pixels: those with a channel above 0, in a lossy file with a channel of at least 128.

    Args:
        samples: The mask's pixels, with alpha and what is used of the palette where it has them.
        header: What its file says of itself.
        where: The file, for messages.

    Returns:
        uint8 `[H, W]`, 0 or 255.

    Raises:
        ImageError: What is marked by colour contradicts what shows by alpha, or the palette gives different indices the
            same meaning, so that it is not known which was meant.
    """
    colours = scaled(samples.colours, samples.bits) if header.lossy else samples.colours
    threshold = _LOSSY_THRESHOLD if header.lossy else 1
    mask = colours[:, :, 0] >= threshold
    for channel in range(1, colours.shape[2]):
        mask |= colours[:, :, channel] >= threshold
    if samples.alpha is not None:
        _check_alpha(mask, samples.alpha, where)
    if samples.used is not None and header.palette is not None:
        _check_palette(samples.used, header.palette, where)
    return np.where(mask, np.uint8(255), np.uint8(0))


def _check_alpha(mask: npt.NDArray[np.bool_], alpha: npt.NDArray[Any], where: object) -> None:
    if alpha.min() == alpha.max():
        return
    if mask.all() or not mask.any():
        # The colours may differ, but not in what they mark.
        raise ImageError(
            "the mask has the same colour everywhere and a shape only in its alpha channel", where=where, fix=_GRAY
        )
    if bool((mask & (alpha == 0)).any()):
        raise ImageError(
            "pixels of the mask are marked by their colour and cannot be seen by their alpha", where=where, fix=_GRAY
        )


def _check_palette(used: npt.NDArray[np.bool_], palette: npt.NDArray[np.uint8], where: object) -> None:
    is_black = ~palette[:, :3].any(axis=1)
    black = np.flatnonzero(used & is_black)
    if len(black) > 1:
        raise ImageError(
            f"the mask's palette shows the numbers {black[0]} and {black[1]} both in black",
            where=where,
            fix="save the numbers themselves as a gray image",
        )
    if not len(black) and np.count_nonzero(used) > 1:
        raise ImageError(
            "no colour of the mask's palette that is used is black, so the whole image would be one defect",
            where=where,
            fix="give the background black, or save the numbers themselves as a gray image",
        )
