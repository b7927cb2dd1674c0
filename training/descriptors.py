"""Numbers that describe the defect in a view, which the encoder learns to tell beside the class."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from training.mask_numbers import MASK_NUMBERS, mask_numbers, measure_extent
from training.tone_numbers import TONE_NUMBERS, cut_rings, tone_numbers

__all__ = ["DESCRIPTORS", "describe"]

#: What the numbers mean, in order.
DESCRIPTORS = MASK_NUMBERS + TONE_NUMBERS

_SMALLEST_AREA = 2
_FARTHEST = 3.0
# Mean and deviation of each over 10,000 rendered views.
_USUAL = np.array(
    [
        [-4.137, 1.570],  # log area
        [-2.712, 0.780],  # log length
        [0.896, 0.690],  # log elongation
        [-0.347, 0.581],  # log fill
        [0.274, 0.606],  # log pieces
        [-3.223, 0.858],  # log thickness
        [0.639, 0.215],  # compactness
        [0.775, 0.246],  # solidity
        [0.563, 0.283],  # share of the box
        [0.157, 0.542],  # log holes
        [0.008, 0.032],  # log area of holes
        [-0.672, 0.305],  # evenness of thickness
        [0.802, 0.335],  # left after opening by 1
        [0.591, 0.439],  # left after opening by 2
        [0.373, 0.437],  # left after opening by 4
        [0.171, 0.343],  # left after opening by 8
        [1.622, 0.284],  # concentration
        [0.277, 0.089],  # emptiness of the middle
        [0.398, 0.248],  # one direction of the outline
        [0.067, 0.120],  # share of the outline at the border
        [-0.277, 0.863],  # log perimeter
        [117.277, 65.790],  # level inside
        [119.384, 62.805],  # level around
        [-0.704, 47.471],  # brighter in red
        [-2.499, 49.313],  # brighter in green
        [-3.116, 50.408],  # brighter in blue
        [-0.039, 0.599],  # brighter, in deviations
        [2.782, 0.783],  # log deviation inside
        [2.587, 0.711],  # log deviation around
        [3.029, 0.859],  # log detail inside
        [2.777, 0.758],  # log detail around
        [3.129, 0.864],  # log detail at the outline
        [-26.627, 48.926],  # darkest tenth inside
        [22.599, 50.911],  # brightest tenth inside
        [2.478, 0.765],  # log slope inside
        [2.190, 0.701],  # log slope around
        [0.475, 0.284],  # one direction of the texture
        [0.142, 0.302],  # texture along the outline
        [0.002, 0.378],  # brighter towards the middle
        [-2.224, 26.761],  # brighter at the outline
    ],
    np.float32,
)


def describe(view: npt.NDArray[np.uint8], inside: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Describes the defect in a view by the numbers of `DESCRIPTORS`.

    Args:
        view: uint8 `[S, S, 4]`.
        inside: uint8 `[S, S]`, 255 where the view shows the image, 0 outside of it.

    Returns:
        float32 `[D]`, each less its usual value, over its usual deviation, -3 to 3; zeros where the view shows
        no defect.
    """
    numbers = measure(view, inside)
    if numbers is None:
        return np.zeros(len(DESCRIPTORS), np.float32)
    unusual = (numbers - _USUAL[:, 0]) / _USUAL[:, 1]
    return np.asarray(np.clip(unusual, -_FARTHEST, _FARTHEST), np.float32)


def measure(view: npt.NDArray[np.uint8], inside: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
    """The numbers as they are, float32 `[D]`; None where the view shows no defect. See `describe`."""
    mask = np.asarray(cv2.threshold(np.ascontiguousarray(view[..., 3]), 100, 255, cv2.THRESH_BINARY)[1], np.uint8)
    if cv2.countNonZero(mask) < _SMALLEST_AREA:
        return None
    extent = measure_extent(mask)
    colour, rings = cut_rings(view[..., :3], mask, inside)
    numbers = mask_numbers(mask, extent, rings.at_border) + tone_numbers(colour, rings, extent)
    return np.asarray(numbers, np.float32)
