"""Numbers about the grey levels and the texture of a defect, against its surroundings."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from training.directions import Direction, direction_of

__all__ = ["TONE_NUMBERS", "Rings", "Slopes", "cut_rings", "tone_numbers"]

#: What the numbers mean, in order.
TONE_NUMBERS = (
    "level inside",
    "level around",
    "brighter in red",
    "brighter in green",
    "brighter in blue",
    "brighter, in deviations",
    "log deviation inside",
    "log deviation around",
    "log detail inside",
    "log detail around",
    "log detail at the outline",
    "darkest tenth inside",
    "brightest tenth inside",
    "log slope inside",
    "log slope around",
    "one direction of the texture",
    "texture along the outline",
    "brighter towards the middle",
    "brighter at the outline",
)

_GAP = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
_RING = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))
# Grey levels of noise that a contrast is compared with at least.
_QUIET = 4.0

Mask = npt.NDArray[np.uint8]


class Rings:
    """Where a defect is, where its outline, and what lies around it.

    Attributes:
        mask: uint8 `[H, W]`, 0 or 255, not empty; so are the others.
        near: The mask, a pixel wider.
        outline: A band of three pixels along the mask's edge, where the image is.
        around: Six pixels around the mask, where the image is; the mask itself where there are none.
        at_border: Share of the band that is not in the image, 0 to 1.
    """

    def __init__(self, mask: Mask, inside: Mask) -> None:
        self.mask = mask
        self.near = np.asarray(cv2.dilate(mask, _GAP), np.uint8)
        band = cv2.subtract(self.near, cv2.erode(mask, _GAP))
        self.outline = np.asarray(cv2.bitwise_and(band, inside), np.uint8)
        around = np.asarray(cv2.bitwise_and(cv2.subtract(cv2.dilate(mask, _RING), self.near), inside), np.uint8)
        self.around = around if around.any() else mask
        self.at_border = 1 - cv2.countNonZero(self.outline) / max(cv2.countNonZero(band), 1)


def cut_rings(colour: npt.NDArray[np.uint8], mask: Mask, inside: Mask) -> tuple[npt.NDArray[np.uint8], Rings]:
    """Cuts out a defect with what lies around it.

    Args:
        colour: uint8 `[S, S, 3]`.
        mask: uint8 `[S, S]`, 0 or 255, not empty.
        inside: uint8 `[S, S]`, 255 where the view shows the image.

    Returns:
        The colours of the cut-out, uint8 `[H, W, 3]`, and its rings.
    """
    left, top, width, height = cv2.boundingRect(mask)
    margin = len(_RING) // 2 + 2
    rows, columns = (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left - margin), left + width + margin),
    )
    return np.ascontiguousarray(colour[rows, columns]), Rings(
        np.ascontiguousarray(mask[rows, columns]), np.ascontiguousarray(inside[rows, columns])
    )


class Slopes:
    """Slopes of the grey levels of a cut-out.

    Attributes:
        inside: Logarithm of their strength in the defect and at its outline.
        around: The same of its surroundings.
        texture: Their direction in the defect and at its outline.
        surroundings: Their direction around it.
    """

    def __init__(self, grey: npt.NDArray[np.uint8], rings: Rings) -> None:
        smooth = cv2.GaussianBlur(grey, (0, 0), 0.8)
        along, across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8
        near, around = rings.near > 0, rings.around > 0
        self.inside, self.around = (
            float(np.log1p(np.sqrt((along[where] ** 2 + across[where] ** 2).mean()))) for where in (near, around)
        )
        self.texture = direction_of(along[near], across[near], least=1.0)
        self.surroundings = direction_of(along[around], across[around], least=1.0)


def tone_numbers(
    colour: npt.NDArray[np.uint8], grey: npt.NDArray[np.uint8], rings: Rings, slopes: Slopes, axis: Direction
) -> list[float]:
    """Describes grey levels and texture by the numbers of `TONE_NUMBERS`.

    Args:
        colour: uint8 `[H, W, 3]`.
        grey: The same without colour, uint8 `[H, W]`.
        rings: Where the defect is in it.
        slopes: Its slopes.
        axis: The direction of the mask's longer axis.
    """
    inside_mean, inside_deviation = cv2.meanStdDev(colour, mask=rings.mask)
    around_mean, around_deviation = cv2.meanStdDev(colour, mask=rings.around)
    brighter = (inside_mean - around_mean)[:, 0]
    detail = cv2.convertScaleAbs(cv2.Laplacian(grey, cv2.CV_16S))
    details = (cv2.mean(detail, ring)[0] for ring in (rings.mask, rings.around, rings.outline))
    levels, usual = grey[rings.mask > 0].astype(np.float32), grey[rings.around > 0]
    middle, noise = float(usual.mean()), float(usual.std()) + _QUIET
    darkest, brightest = np.quantile(levels, [0.1, 0.9])
    return [
        float(inside_mean.mean()),
        float(around_mean.mean()),
        *brighter.tolist(),
        float(np.tanh(brighter.mean() / noise / 2)),
        float(np.log1p(inside_deviation.mean())),
        float(np.log1p(around_deviation.mean())),
        *(float(np.log1p(each)) for each in details),
        float(darkest) - middle,
        float(brightest) - middle,
        slopes.inside,
        slopes.around,
        slopes.texture.strength,
        # Positive where the texture's lines run along the longer axis.
        -(slopes.texture.cosine * axis.cosine + slopes.texture.sine * axis.sine),
        _towards_the_middle(rings.mask, levels),
        float(grey[rings.outline > 0].mean()) - middle if rings.outline.any() else 0.0,
    ]


def _towards_the_middle(mask: Mask, levels: npt.NDArray[np.float32]) -> float:
    """Correlation of a pixel's level with its depth inside the mask."""
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depths = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1][mask > 0]
    if depths.std() < 1e-3 or levels.std() < 1e-3:
        return 0.0
    return float(np.corrcoef(depths, levels)[0, 1])
