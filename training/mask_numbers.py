"""Numbers about the outline of a defect, from its mask alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from training.directions import Direction, direction_of

__all__ = ["MASK_NUMBERS", "Extent", "mask_numbers", "measure_extent", "outline_direction"]

#: What the numbers mean, in order.
MASK_NUMBERS = (
    "log area",
    "log length",
    "log elongation",
    "log fill",
    "log pieces",
    "log thickness",
    "compactness",
    "solidity",
    "share of the box",
    "log holes",
    "log area of holes",
    "evenness of thickness",
    "left after opening by 1",
    "left after opening by 2",
    "left after opening by 4",
    "left after opening by 8",
    "concentration",
    "emptiness of the middle",
    "one direction of the outline",
    "share of the outline at the border",
    "log perimeter",
)

_OPENINGS = tuple(
    cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)) for reach in (1, 2, 4, 8)
)


@dataclass(frozen=True)
class Extent:
    """Second moments of a mask.

    Attributes:
        area: Pixels.
        middle: Centre of mass, x and y.
        long: Deviation along the longer axis in pixels.
        short: Deviation along the shorter axis.
        angle: Twice the direction of the longer axis, in radians.
    """

    area: int
    middle: tuple[float, float]
    long: float
    short: float
    angle: float

    @property
    def axis(self) -> Direction:
        """The direction of the longer axis, as strong as the mask is elongated."""
        elongated = (self.long**2 - self.short**2) / (self.long**2 + self.short**2)
        return Direction(elongated * float(np.cos(self.angle)), elongated * float(np.sin(self.angle)))


def measure_extent(mask: npt.NDArray[np.uint8]) -> Extent:
    """Measures a mask that is not empty, uint8 `[H, W]`, 0 or 255."""
    area = cv2.countNonZero(mask)
    moments = cv2.moments(mask, binaryImage=True)
    # A pixel is a square, not a point: 1/12 is its own variance.
    xx, yy = moments["mu20"] / area + 1 / 12, moments["mu02"] / area + 1 / 12
    xy = moments["mu11"] / area
    middle, half = (xx + yy) / 2, float(np.hypot((xx - yy) / 2, xy))
    return Extent(
        area=area,
        middle=(moments["m10"] / area, moments["m01"] / area),
        long=float(np.sqrt(middle + half)),
        short=float(np.sqrt(max(middle - half, 1 / 12))),
        angle=float(np.arctan2(2 * xy, xx - yy)),
    )


def mask_numbers(mask: npt.NDArray[np.uint8], extent: Extent, outline: Direction, at_border: float) -> list[float]:
    """Describes an outline by the numbers of `MASK_NUMBERS`.

    Args:
        mask: uint8 `[S, S]`, 0 or 255, not empty.
        extent: Its moments.
        outline: Its direction.
        at_border: Share of its outline where the image ends, 0 to 1.
    """
    size, area = len(mask), extent.area
    left, top, width, height = cv2.boundingRect(mask)
    # With a margin, so that what touches the view's border has an outline all around.
    patch = np.pad(mask[top : top + height, left : left + width], 2)
    depths = cv2.distanceTransform(patch, cv2.DIST_L2, 3)
    contours, hierarchy = cv2.findContours(patch, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    is_hole = hierarchy[0][:, 3] >= 0
    outer = [contour for contour, hole in zip(contours, is_hole, strict=True) if not hole]
    holes = [cv2.contourArea(contour) for contour, hole in zip(contours, is_hole, strict=True) if hole]
    perimeter = sum(cv2.arcLength(contour, True) for contour in contours) + 4 * len(outer)
    hull = cv2.convexHull(np.concatenate(outer))
    # Contours go through the middles of pixels: half of the perimeter and one more make it their area.
    hull_area = cv2.contourArea(hull) + cv2.arcLength(hull, True) / 2 + 1
    opened = [cv2.countNonZero(cv2.morphologyEx(patch, cv2.MORPH_OPEN, kernel)) / area for kernel in _OPENINGS]
    rows, columns = np.nonzero(patch)
    squares = (columns + left - 2 - extent.middle[0]) ** 2 + (rows + top - 2 - extent.middle[1]) ** 2
    spread = float(squares.mean()) + 1 / 6
    return [
        float(np.log(area / size**2)),
        float(np.log(extent.long / size)),
        float(np.log(extent.long / extent.short)),
        float(np.log(area / (4 * np.pi * extent.long * extent.short))),
        float(np.log(len(outer))),
        float(np.log(depths.max() / size)),
        float(np.sqrt(4 * np.pi * area) / perimeter),
        area / hull_area,
        area / (width * height),
        float(np.log1p(len(holes))),
        float(np.log1p(sum(holes) / area)),
        float(np.log(depths[patch > 0].mean() / depths.max())),
        *opened,
        min(float((squares**2).mean()) / spread**2, 6.0),
        float(np.sqrt(np.quantile(squares, 0.05) / spread)),
        outline.strength,
        at_border,
        float(np.log(perimeter / size)),
    ]


def outline_direction(mask: npt.NDArray[np.uint8]) -> Direction:
    """The direction across an outline, uint8 `[H, W]`: of a disc none, of a line the one across it."""
    smooth = cv2.GaussianBlur(np.pad(mask, 2), (0, 0), 1.2)
    return direction_of(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1), least=1e-6)
