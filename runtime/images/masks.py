"""Which pixels of a mask image are marked, and which masks could mean two things."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import ImageError, InputWarning
from mvrec_edge.runtime.images.header import ImageHeader, Samples
from mvrec_edge.runtime.images.pixels import scaled

__all__ = ["marked"]

_LOSSY_THRESHOLD = 128
# Black of a video has 16 of 255, and compression hardly adds more to an even area.
_LOSSY_BLACK = 16
# A drawn mask has values between black and white at its edges alone. Of the masks of real sets, none has 3% of them.
_MOST_BETWEEN, _MOST_VALUES = 0.5, 64
_GRAY = "save the mask as a gray image, the defect white on black"


def marked(
    samples: Samples, header: ImageHeader, where: object, warn: Callable[[InputWarning], None] | None = None
) -> npt.NDArray[np.uint8]:
    """Finds the marked pixels: those with a channel above 0, in a lossy file with a channel of at least 128.

    Args:
        samples: The mask's pixels, with alpha and what is used of the palette where it has them.
        header: What its file says of itself.
        where: The file, for messages.
        warn: Given what is odd about the mask, though it can be used.

    Returns:
        uint8 `[H, W]`, 0 or 255.

    Raises:
        ImageError: The mask is rather a photo; a lossy file has no value above gray, so that what it marks cannot be
            told from noise; what is marked by colour contradicts what shows by alpha; or the palette gives different
            indices the same meaning, so that it is not known which was meant.
    """
    colours = scaled(samples.colours, samples.bits) if header.lossy else samples.colours
    strongest: npt.NDArray[Any] = colours.max(axis=2) if colours.shape[2] > 1 else colours[:, :, 0]
    _check_photo(strongest, where, noise=_LOSSY_BLACK if header.lossy else 0)
    if header.lossy:
        _check_gray(int(strongest.max()), where, warn)
    mask = strongest >= (_LOSSY_THRESHOLD if header.lossy else 1)
    if samples.alpha is not None:
        _check_alpha(mask, samples.alpha, where)
    if samples.used is not None and header.palette is not None:
        _check_palette(samples.used, header.palette, where)
    values = mask.view(np.uint8)
    # One becomes 255.
    return np.negative(values, out=values)


def _check_photo(values: npt.NDArray[Any], where: object, *, noise: int) -> None:
    """Refuses what has many values, most of them neither black nor the brightest one."""
    top = int(values.max())
    between, seen = 0, np.zeros(top + 1, np.bool_)
    # Row by row: what is said of each pixel would take several times the mask.
    for row in values:
        some = row[(row > noise) & (row < top - noise)]
        between += len(some)
        seen[some] = True
    share = between / values.size
    if share <= _MOST_BETWEEN:
        return
    if (count := np.count_nonzero(seen)) > _MOST_VALUES:
        raise ImageError(
            f"it looks like a photo: {100 * share:.0f}% of its pixels lie between black and white, with {count} values",
            where=where,
            fix="save the mask with the defect white on black; where it is the image, name the other file as its mask, "
            "with the ending _mask",
        )


def _check_gray(top: int, where: object, warn: Callable[[InputWarning], None] | None) -> None:
    """Refuses, or of very dark ones warns of, lossy masks that mark nothing and are not black either."""
    if _LOSSY_BLACK < top < _LOSSY_THRESHOLD:
        raise ImageError(
            f"its values go up to {top} only, and in a lossy file what is below {_LOSSY_THRESHOLD} counts as noise",
            where=where,
            fix="save the mask as PNG, where every value above 0 counts, or with the defect white",
        )
    if 0 < top <= _LOSSY_BLACK and warn is not None:
        what = f"the mask is a lossy file with values up to {top} only, which count as noise: it marks no defect"
        warn(InputWarning(what, str(where), "where these are class numbers, save the mask as PNG"))


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
