"""Numbers that describe the defect in a view, which the encoder learns to tell beside the class."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["DESCRIPTORS", "DescriptorFeatures", "describe"]

#: What the numbers mean, in order.
DESCRIPTORS = (
    "log area",
    "log length",
    "log elongation",
    "log fill",
    "log pieces",
    "log thickness",
    "level inside",
    "level around",
    "brighter in red",
    "brighter in green",
    "brighter in blue",
    "log deviation inside",
    "log deviation around",
    "log detail inside",
    "log detail around",
    "detail at the outline",
)

_SHARPNESS = 0.3
_RING = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))
_GAP = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))


def describe(view: npt.NDArray[np.uint8], inside: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Describes the defect in a view by the numbers of `DESCRIPTORS`.

    Args:
        view: uint8 `[S, S, 4]`.
        inside: uint8 `[S, S]`, 255 where the view shows the image, 0 outside of it.

    Returns:
        float32 `[D]`, each about unit size.
    """
    mask = cv2.threshold(np.ascontiguousarray(view[..., 3]), 100, 255, cv2.THRESH_BINARY)[1]
    colour = cv2.cvtColor(view, cv2.COLOR_RGBA2RGB)
    grey = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    area = cv2.countNonZero(mask)
    if area < 2:
        return np.asarray([-2.0] * 4 + [0.0] * (len(DESCRIPTORS) - 4), np.float32)
    size = len(mask)
    moments = cv2.moments(mask, binaryImage=True)
    xx, yy, xy = (moments[name] / area + 1 / 12 * (name != "mu11") for name in ("mu20", "mu02", "mu11"))
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    long, short = np.sqrt(middle + half), np.sqrt(max(middle - half, 1 / 12))
    pieces = cv2.connectedComponents(mask)[0] - 1
    thickness = cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, 0), cv2.DIST_L2, 3).max()
    near = cv2.dilate(mask, _GAP)
    around = cv2.bitwise_and(cv2.subtract(cv2.dilate(mask, _RING), near), inside)
    if not around.any():
        # The defect fills the image.
        around = mask
    outline = cv2.bitwise_and(cv2.subtract(near, cv2.erode(mask, _GAP)), inside)
    detail = cv2.convertScaleAbs(cv2.Laplacian(grey, cv2.CV_16S))
    inside_mean, inside_deviation = cv2.meanStdDev(colour, mask=mask)
    around_mean, around_deviation = cv2.meanStdDev(colour, mask=around)
    brighter = (inside_mean - around_mean)[:, 0] / 40
    return np.asarray(
        [
            np.log(area / size**2) / 2 + 2,
            np.log(long / size) + 2,
            np.log(long / short),
            np.log(area / (4 * np.pi * long * short)),
            np.log(max(pieces, 1)),
            np.log(thickness / size) + 3,
            inside_mean.mean() / 60 - 2,
            around_mean.mean() / 60 - 2,
            *brighter,
            np.log1p(inside_deviation.mean()) - 2.3,
            np.log1p(around_deviation.mean()) - 2.3,
            np.log1p(cv2.mean(detail, mask)[0]) - 2,
            np.log1p(cv2.mean(detail, around)[0]) - 2,
            np.log1p(cv2.mean(detail, outline)[0]) - 2,
        ],
        np.float32,
    )


class DescriptorFeatures:
    """Vectors whose inner products fall off with the distance between descriptors as a Gaussian does.

    Random Fourier features (Rahimi and Recht 2007) of the kernel `exp(-(0.3 |a - b|)^2 / 2)`, less their mean over a
    normal distribution of unit deviation, so that descriptors far apart have a negative cosine.

    Args:
        channels: How many features.
        seed: Decides their directions and phases.
    """

    def __init__(self, channels: int, seed: int) -> None:
        random = np.random.Generator(np.random.PCG64([seed, channels]))
        self._directions = (_SHARPNESS * random.standard_normal((len(DESCRIPTORS), channels))).astype(np.float32)
        self._phases = random.uniform(0, 2 * np.pi, channels).astype(np.float32)
        # The mean of cos(w d + b) for d of unit deviation.
        damping = np.exp(-np.square(self._directions).sum(axis=0) / 2)
        self._mean = (np.cos(self._phases) * damping).astype(np.float32)
        self._scale = np.float32(np.sqrt(2 / channels))

    def __call__(self, descriptors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """float32 `[B, D]` to `[B, channels]`."""
        waves = np.cos(descriptors @ self._directions + self._phases)
        return np.asarray((waves - self._mean) * self._scale, np.float32)
