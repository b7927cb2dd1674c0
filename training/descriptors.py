"""Numbers that describe the defect in a view, which the encoder learns to tell beside the class."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from training.directions import Direction
from training.mask_numbers import MASK_NUMBERS, mask_numbers, measure_extent, outline_direction
from training.tone_numbers import TONE_NUMBERS, Slopes, cut_rings, tone_numbers

__all__ = ["DESCRIPTORS", "GUIDES", "describe"]

#: What the numbers mean, in order.
DESCRIPTORS = MASK_NUMBERS + TONE_NUMBERS
#: Numbers that turn with the view. How far slopes agree in direction is hard to learn at once: it is the length of a
#: mean over the view. The mean itself is easy, and is learned for training's sake; what is published is without it.
GUIDES = tuple(
    f"{part} of the {what}" for what in ("texture", "surroundings", "outline", "axis") for part in ("cosine", "sine")
)

_SMALLEST_AREA = 2
_FARTHEST = 3.0
# One over their deviation, about.
_GUIDE_SCALE = 2.5
# Mean and deviation of each over 4,000 rendered views.
_USUAL = np.array(
    [
        [-4.162, 1.624],  # log area
        [-2.742, 0.831],  # log length
        [0.869, 0.688],  # log elongation
        [-0.339, 0.565],  # log fill
        [0.265, 0.584],  # log pieces
        [-3.211, 0.852],  # log thickness
        [0.652, 0.213],  # compactness
        [0.781, 0.245],  # solidity
        [0.576, 0.281],  # share of the box
        [0.126, 0.445],  # log holes
        [0.006, 0.027],  # log area of holes
        [-0.675, 0.306],  # evenness of thickness
        [0.809, 0.335],  # left after opening by 1
        [0.610, 0.432],  # left after opening by 2
        [0.376, 0.436],  # left after opening by 4
        [0.167, 0.341],  # left after opening by 8
        [1.614, 0.315],  # concentration
        [0.280, 0.093],  # emptiness of the middle
        [0.384, 0.243],  # one direction of the outline
        [0.063, 0.115],  # share of the outline at the border
        [-0.313, 0.903],  # log perimeter
        [125.515, 66.505],  # level inside
        [124.689, 62.213],  # level around
        [-0.014, 47.319],  # brighter in red
        [0.891, 47.776],  # brighter in green
        [1.602, 47.188],  # brighter in blue
        [0.004, 0.583],  # brighter, in deviations
        [2.816, 0.790],  # log deviation inside
        [2.590, 0.715],  # log deviation around
        [3.054, 0.790],  # log detail inside
        [2.796, 0.710],  # log detail around
        [3.149, 0.790],  # log detail at the outline
        [-24.907, 47.457],  # darkest tenth inside
        [26.126, 48.391],  # brightest tenth inside
        [2.529, 0.738],  # log slope inside
        [2.207, 0.694],  # log slope around
        [0.486, 0.282],  # one direction of the texture
        [0.121, 0.313],  # texture along the outline
        [0.024, 0.384],  # brighter towards the middle
        [-0.662, 25.538],  # brighter at the outline
    ],
    np.float32,
)


def describe(view: npt.NDArray[np.uint8], inside: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Describes the defect in a view by the numbers of `DESCRIPTORS`.

    Args:
        view: uint8 `[S, S, 4]`.
        inside: uint8 `[S, S]`, 255 where the view shows the image, 0 outside of it.

    Returns:
        float32 `[D + G]`, the descriptors and the guides, each less its usual value, over its usual deviation, -3 to
        3; zeros where the view shows no defect.
    """
    found = measure(view, inside)
    if found is None:
        return np.zeros(len(DESCRIPTORS) + len(GUIDES), np.float32)
    numbers, directions = found
    guides = [_GUIDE_SCALE * part for each in directions for part in (each.cosine, each.sine)]
    unusual = (numbers - _USUAL[:, 0]) / _USUAL[:, 1]
    return np.asarray(np.clip(np.concatenate([unusual, guides]), -_FARTHEST, _FARTHEST), np.float32)


def measure(
    view: npt.NDArray[np.uint8], inside: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.float32], tuple[Direction, ...]] | None:
    """The descriptors as they are, float32 `[D]`, and the directions; None where the view shows no defect."""
    mask = np.asarray(cv2.threshold(np.ascontiguousarray(view[..., 3]), 100, 255, cv2.THRESH_BINARY)[1], np.uint8)
    if cv2.countNonZero(mask) < _SMALLEST_AREA:
        return None
    extent, outline = measure_extent(mask), outline_direction(mask)
    colour, rings = cut_rings(view[..., :3], mask, inside)
    grey = np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), np.uint8)
    slopes = Slopes(grey, rings)
    numbers = mask_numbers(mask, extent, outline, rings.at_border)
    numbers += tone_numbers(colour, grey, rings, slopes, extent.axis)
    return np.asarray(numbers, np.float32), (slopes.texture, slopes.surroundings, outline, extent.axis)
