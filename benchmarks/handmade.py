"""Hand-made features of a region: what an encoder has to beat before it is worth anything.

A colour histogram inside the mask and around it, the shape of the mask, and contrast: numbers that anyone would write
down first. They go through the same heads as embeddings do, as one view.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.calib import LabelledSet
from mvrec_edge.runtime import Region

__all__ = ["COLOURS", "CONTRASTS", "GROUPS", "SHAPES", "describe_instances", "describe_region"]

_BINS = 8
# Width in pixels of the surroundings that a defect is compared with.
_AROUND = 12
#: Square roots of a histogram's shares, so that cosines compare histograms (Bhattacharyya's coefficient).
COLOURS = tuple(f"{part} {channel} {level}" for part in ("in", "out") for channel in "rgb" for level in range(_BINS))
SHAPES = (
    "log area",
    "log length",
    "log elongation",
    "compactness",
    "extent",
    "solidity",
    "log thickness",
    "holes",
)
CONTRASTS = (
    "brighter in red",
    "brighter in green",
    "brighter in blue",
    "log deviation inside",
    "log deviation around",
    "log detail inside",
    "log detail around",
)
#: What is tried as features of its own: all, and less, since a histogram says as much of the part as of the defect.
GROUPS = {
    "colour histogram, shape and contrast": slice(None),
    "mask shape and contrast": slice(len(COLOURS), None),
    "mask shape alone": slice(len(COLOURS), len(COLOURS) + len(SHAPES)),
}


def describe_region(image: npt.NDArray[np.uint8], region: Region) -> npt.NDArray[np.float32]:
    """Describes a region by the numbers of `COLOURS`, `SHAPES` and `CONTRASTS`.

    The three groups have about the same length, so that none decides a cosine alone.

    Args:
        image: uint8 `[H, W, 3]`, RGB.
        region: A region of it.

    Returns:
        float32 `[C]`.
    """
    # Of the patch that the mask fills, not of the box that was given: an empty margin says nothing.
    height, width = region.patch.shape
    left, top = region.origin
    x1, y1 = max(0, left - _AROUND), max(0, top - _AROUND)
    x2, y2 = min(image.shape[1], left + width + _AROUND), min(image.shape[0], top + height + _AROUND)
    window = np.ascontiguousarray(image[y1:y2, x1:x2])
    mask = np.zeros(window.shape[:2], np.uint8)
    mask[top - y1 : top - y1 + height, left - x1 : left - x1 + width] = region.patch
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _AROUND + 1,) * 2)
    around = np.asarray(cv2.dilate(mask, kernel) - mask, np.uint8)
    if not around.any():
        around = mask
    colours = np.concatenate([_histogram(window, mask), _histogram(window, around)])
    groups = (colours, _shape(mask), _contrast(window, mask, around))
    return np.concatenate([group * weight for group, weight in zip(groups, _weights(), strict=True)]).astype(np.float32)


def _weights() -> tuple[float, float, float]:
    # Histograms have length 1 each; a shape's or a contrast's number is about 1 by itself.
    return 1 / np.sqrt(2), 1 / np.sqrt(len(SHAPES)), 1 / np.sqrt(len(CONTRASTS))


def _histogram(window: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    counts = np.concatenate(
        [cv2.calcHist([window], [channel], mask, [_BINS], [0, 256]).ravel() for channel in range(3)]
    )
    return np.asarray(np.sqrt(counts / counts.sum()), np.float32)


def _shape(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    rows, columns = np.nonzero(mask)
    area = len(rows)
    wide, high = np.ptp(columns) + 1, np.ptp(rows) + 1
    # A pixel is a square, not a point: 1/12 is its own variance.
    covariance = np.atleast_2d(np.cov(np.stack([columns, rows]), bias=True)) + np.eye(2) / 12
    short, long = np.sqrt(np.linalg.eigvalsh(covariance))
    contours, hierarchy = cv2.findContours(np.pad(mask, 1), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outer = [contour for contour, links in zip(contours, hierarchy[0], strict=True) if links[3] < 0]
    perimeter = sum(cv2.arcLength(contour, True) for contour in outer) + 4
    # Through the pixels' corners, as their area is counted.
    corners = np.concatenate([np.stack([columns + dx, rows + dy], 1) for dx in (0, 1) for dy in (0, 1)])
    hull = cv2.contourArea(cv2.convexHull(corners.astype(np.int32)))
    thickness = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5).max()
    return np.array(
        [
            (np.log(area) - 6) / 2,
            np.log(long) - 2.5,
            np.log(long / short) - 1,
            4 * np.pi * area / perimeter**2 * 2 - 1,
            2 * area / (wide * high) - 1,
            2 * area / hull - 1,
            np.log(thickness) - 1.5,
            np.log1p(len(contours) - len(outer)),
        ]
    )


def _contrast(
    window: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8], around: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    inside_mean, inside_deviation = cv2.meanStdDev(window, mask=mask)
    around_mean, around_deviation = cv2.meanStdDev(window, mask=around)
    detail = cv2.convertScaleAbs(cv2.Laplacian(cv2.cvtColor(window, cv2.COLOR_RGB2GRAY), cv2.CV_16S))
    return np.array(
        [
            *((inside_mean - around_mean)[:, 0] / 40),
            np.log1p(inside_deviation.mean()) - 2.5,
            np.log1p(around_deviation.mean()) - 2.5,
            np.log1p(cv2.mean(detail, mask)[0]) - 2.5,
            np.log1p(cv2.mean(detail, around)[0]) - 2.5,
        ]
    )


def describe_instances(labelled: LabelledSet) -> npt.NDArray[np.float32]:
    """Describes instances, float32 `[S, 1, C]`: one view each."""
    features = np.empty((len(labelled.instances), 1, len(COLOURS) + len(SHAPES) + len(CONTRASTS)), np.float32)
    for path, places in labelled.places_by_image.items():
        image = labelled.images.read(path)
        for place in places:
            features[place, 0] = describe_region(image, labelled.instances[place].region)
    return features
