"""A region: one defect instance on one image, wherever it was read from."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import AnnotationError, UsageError
from mvrec_edge.runtime.regions.drawing_budget import OUTLINE_WORK, POINT_WORK, check_left, outline_work, take

__all__ = ["MAX_POINTS", "REGION_INPUTS", "Box", "MaskArray", "Region", "check_region_input", "extent_of"]

#: What the encoder may be told about where a defect is: its outline, its box, or nothing.
REGION_INPUTS = ("mask", "box", "full")

MAX_POINTS = 250_000
# Far beyond any image, and far inside what OpenCV's 32-bit rasteriser can hold.
_FARTHEST = 1e6
# Pixels of a patch from which on it is kept as bits.
_LARGE = 1 << 22
_ONES = np.array([value.bit_count() for value in range(256)], np.uint8)

Box = tuple[int, int, int, int]
MaskArray = npt.NDArray[np.uint8]


class Region:
    """One defect instance: its mask, its box, and where it came from.

    Only the part of the mask that holds the defect is kept, and of a large one a bit for each pixel, so a thousand
    small regions on a large image cost kilobytes. A region does not change after it is made.

    Args:
        mask: uint8 or bool `[H, W]`, as large as the image; every value above 0 belongs to the defect.
        box: `(x1, y1, x2, y2)` in pixels, `x2` and `y2` being the last column and row covered; it is what the
            views are centred on. By default the bounds of the mask. It may reach over the mask and over the
            image's edge, but not lie wholly outside the image.
        label: The class name where it is known.
        source: Where the region was read from, for messages and records, such as `"a.json#3"`.

    Raises:
        AnnotationError: The mask is empty or not two-dimensional, or the box is turned round or outside the
            image.
    """

    __slots__ = ("_box", "_image_size", "_kind", "_label", "_of_part", "_origin", "_shape", "_source", "_stored")

    def __init__(
        self,
        mask: npt.NDArray[Any],
        box: Sequence[int] | None = None,
        label: str | None = None,
        source: str | None = None,
    ) -> None:
        patch, (x, y) = _cut_out(mask, source)
        bounds = (x, y, x + patch.shape[1] - 1, y + patch.shape[0] - 1)
        image_size = (int(np.shape(mask)[0]), int(np.shape(mask)[1]))
        self._set(patch, (x, y), image_size, bounds if box is None else box, label, source)

    def _set(
        self,
        patch: MaskArray,
        origin: tuple[int, int],
        image_size: tuple[int, int],
        box: Sequence[int],
        label: str | None,
        source: str | None,
    ) -> None:
        x1, y1, x2, y2 = _whole_box(box, source)
        height, width = image_size
        if x2 < x1 or y2 < y1:
            raise AnnotationError(
                f"the box ({x1}, {y1}, {x2}, {y2}) is turned round",
                where=source,
                fix="give x1 <= x2 and y1 <= y2",
            )
        if x1 >= width or y1 >= height or x2 < 0 or y2 < 0:
            raise AnnotationError(
                f"the region ({x1}, {y1}, {x2}, {y2}) lies outside the image of {width} x {height} pixels",
                where=source,
                fix="check that the annotation belongs to this image",
            )
        self._shape: tuple[int, int] = (patch.shape[0], patch.shape[1])
        self._stored: MaskArray = np.packbits(patch, axis=1) if patch.size > _LARGE else patch
        self._stored.setflags(write=False)
        self._origin = origin
        self._image_size = image_size
        self._box: Box = (x1, y1, x2, y2)
        self._label = label
        self._source = source
        self._kind = "mask"
        self._of_part: str | None = None

    @classmethod
    def from_box(
        cls,
        box: Sequence[int],
        image_size: tuple[int, int],
        label: str | None = None,
        source: str | None = None,
    ) -> Region:
        """Makes a region from a box alone: its mask is the filled box.

        Args:
            box: `(x1, y1, x2, y2)` in pixels, `x2` and `y2` being the last column and row covered.
            image_size: `(H, W)` of the image.
            label: The class name where it is known.
            source: Where the box was read from.

        Raises:
            AnnotationError: The box is turned round or lies outside the image, or the image has too many such regions.
        """
        x1, y1, x2, y2 = _whole_box(box, source)
        height, width = image_size
        left, top = max(x1, 0), max(y1, 0)
        shape = (max(min(y2, height - 1) - top + 1, 0), max(min(x2, width - 1) - left + 1, 0))
        take(shape[0] * shape[1], source)
        region = cls.__new__(cls)
        region._set(np.full(shape, 255, np.uint8), (left, top), image_size, box, label, source)
        region._kind = "box"
        return region

    @classmethod
    def full(
        cls,
        image_size: tuple[int, int],
        box: Sequence[int] | None = None,
        label: str | None = None,
        source: str | None = None,
    ) -> Region:
        """Makes a region whose mask is the whole image, so that it says nothing about where the defect is.

        Args:
            image_size: `(H, W)` of the image.
            box: Where the views are cut, as for a region; by default the whole image.
            label: The class name where it is known.
            source: Where the region was read from.

        Raises:
            AnnotationError: The box is turned round or outside the image.
        """
        take(image_size[0] * image_size[1], source)
        region = cls.__new__(cls)
        bounds = (0, 0, image_size[1] - 1, image_size[0] - 1)
        region._set(np.full(image_size, 255, np.uint8), (0, 0), image_size, box or bounds, label, source)
        region._kind = "full"
        return region

    @classmethod
    def from_patch(
        cls,
        patch: npt.NDArray[Any],
        origin: tuple[int, int],
        image_size: tuple[int, int],
        label: str | None = None,
        source: str | None = None,
        *,
        box: Sequence[int] | None = None,
        give_away: bool = False,
    ) -> Region:
        """Makes a region from the part of its mask that holds the defect.

        Args:
            patch: uint8 or bool `[h, w]`, every value above 0 belonging to the defect.
            origin: `(x, y)` of the patch's first pixel in the image.
            image_size: `(H, W)` of the image.
            label: The class name where it is known.
            source: Where the mask was read from.
            box: As for a region; by default the bounds of the mask.
            give_away: Whether the patch is the region's from now on, so that it need not be copied.

        Raises:
            AnnotationError: The patch is empty, not two-dimensional, or reaches over the image's edge.
        """
        cut, (left, top) = _cut_out(patch, source, give_away=give_away)
        x, y = origin[0] + left, origin[1] + top
        height, width = cut.shape
        if x < 0 or y < 0 or x + width > image_size[1] or y + height > image_size[0]:
            raise AnnotationError(
                f"a mask of {width} x {height} pixels at ({x}, {y}) reaches over the image of "
                f"{image_size[1]} x {image_size[0]} pixels",
                where=source,
                fix="check that the annotation belongs to this image",
            )
        region = cls.__new__(cls)
        bounds = (x, y, x + width - 1, y + height - 1)
        region._set(cut, (x, y), image_size, bounds if box is None else box, label, source)
        return region

    @classmethod
    def from_polygon(
        cls,
        points: npt.ArrayLike,
        image_size: tuple[int, int],
        box: Sequence[int] | None = None,
        label: str | None = None,
        source: str | None = None,
    ) -> Region:
        """Makes a region from a closed polygon, its outline included.

        Coordinates are cut to whole pixels, as the public MVREC code does.

        Args:
            points: `[P, 2]` pairs of x, y in pixels, P >= 3; or several such polygons as a list, filled together.
            image_size: `(H, W)` of the image.
            box: As for a region; by default the bounds of the filled polygon.
            label: The class name where it is known.
            source: Where the polygon was read from.

        Raises:
            AnnotationError: There are fewer than 3 points or more than `MAX_POINTS`, a coordinate is not a finite
                number, the polygon lies outside the image, or its edges cross so often that it would take too long.
        """
        polygons = points if isinstance(points, list) and _is_nested(points) else [points]
        take(OUTLINE_WORK * len(polygons) + POINT_WORK * sum(map(_length, polygons)), source)
        outlines = [_outline(polygon, source) for polygon in polygons]
        if sum(map(len, outlines)) > MAX_POINTS:
            raise _too_many_points(source)
        # Along rows numpy is many times faster than along pairs.
        sides = [np.ascontiguousarray(outline.T) for outline in outlines]
        low = np.min([side.min(axis=1) for side in sides], axis=0).tolist()
        high = np.max([side.max(axis=1) for side in sides], axis=0).tolist()
        height, width = image_size
        # Rasterised within the polygon's own bounds, so that many small polygons on a large image stay cheap.
        left, top, right, bottom = max(low[0], 0), max(low[1], 0), min(high[0], width - 1), min(high[1], height - 1)
        if right < left or bottom < top:
            raise AnnotationError(
                f"the region ({low[0]}, {low[1]}, {high[0]}, {high[1]}) lies outside the image of "
                f"{width} x {height} pixels",
                where=source,
                fix="check that the annotation belongs to this image",
            )
        pixels = (bottom - top + 1) * (right - left + 1)
        # What the edges take is itself some work to say.
        check_left(pixels, source)
        take(pixels + sum(outline_work(outline, image_size) for outline in outlines), source)
        patch = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
        shift = np.array((left, top))
        for outline in outlines:
            cv2.fillPoly(patch, [np.ascontiguousarray(outline - shift, np.int32)], (255,))
        extent = extent_of(patch)
        if extent is None:
            raise AnnotationError("the polygon covers no pixel of the image", where=source)
        x, y, patch_width, patch_height = extent
        if patch.shape != (patch_height, patch_width):
            patch = patch[y : y + patch_height, x : x + patch_width].copy()
        origin = (int(left) + x, int(top) + y)
        bounds = (origin[0], origin[1], origin[0] + patch_width - 1, origin[1] + patch_height - 1)
        region = cls.__new__(cls)
        region._set(patch, origin, image_size, bounds if box is None else box, label, source)
        return region

    @property
    def mask(self) -> MaskArray:
        """The mask as large as the image, uint8 `[H, W]`, 0 or 255; made anew at every call."""
        full = np.zeros(self._image_size, np.uint8)
        x, y = self._origin
        full[y : y + self._shape[0], x : x + self._shape[1]] = self.patch
        return full

    @property
    def patch(self) -> MaskArray:
        """The part of the mask that holds the defect, uint8 `[h, w]`, 0 or 255, read-only; a large one is made anew."""
        return self._part(0, 0, self._shape[1], self._shape[0])

    @property
    def patch_size(self) -> tuple[int, int]:
        """`(h, w)` of the patch."""
        return self._shape

    @property
    def origin(self) -> tuple[int, int]:
        """`(x, y)` of the patch's first pixel in the image."""
        return self._origin

    @property
    def image_size(self) -> tuple[int, int]:
        """`(H, W)` of the image the region lies on."""
        return self._image_size

    @property
    def box(self) -> Box:
        """`(x1, y1, x2, y2)`, `x2` and `y2` being the last column and row covered."""
        return self._box

    @property
    def label(self) -> str | None:
        """The class name, or None where it is not known."""
        return self._label

    @property
    def source(self) -> str | None:
        """Where the region was read from."""
        return self._source

    @property
    def part(self) -> str | None:
        """The part, or product, that it lies on, where the source says so; None where it does not."""
        return self._of_part

    @property
    def kind(self) -> str:
        """What its mask is, one of `REGION_INPUTS`: an outline (`"mask"`), a filled box, or the whole image."""
        return self._kind

    def told_as(self, kind: str) -> Region:
        """The region as an encoder sees it that is told so much and no more; its box, and with it the views, stay.

        Args:
            kind: `"mask"` leaves it as it is, `"box"` takes the filled box for the mask, `"full"` the whole image,
                which is no mask at all (the paper's "Wo.M").

        Raises:
            UsageError: There is no such kind.
        """
        check_region_input(kind)
        if kind == "mask" or kind == self._kind:
            return self
        if kind == "box":
            told = Region.from_box(self._box, self._image_size, self._label, self._source)
        else:
            told = Region.full(self._image_size, self._box, self._label, self._source)
        told._of_part = self._of_part
        return told

    def with_part(self, part: str | None) -> Region:
        """The same region on a part of this name."""
        region = copy(self)
        region._of_part = part
        return region

    def with_source(self, source: str) -> Region:
        """The same region with another word on where it was read from."""
        region = copy(self)
        region._source = source
        return region

    @property
    def area(self) -> int:
        """Pixels of the mask inside the image."""
        if self._is_packed:
            return int(_ONES[self._stored].sum(dtype=np.int64))
        return int(np.count_nonzero(self._stored))

    def mask_window(self, x1: int, y1: int, x2: int, y2: int) -> MaskArray:
        """Cuts a window out of the mask, zero wherever the mask is not.

        Args:
            x1: First column; may be negative.
            y1: First row; may be negative.
            x2: One past the last column; may lie beyond the image.
            y2: One past the last row; may lie beyond the image.

        Returns:
            uint8 `[y2 - y1, x2 - x1]`, 0 or 255.
        """
        window = np.zeros((y2 - y1, x2 - x1), np.uint8)
        left, top = self._origin
        height, width = self._shape
        first_x, last_x = max(x1, left), min(x2, left + width)
        first_y, last_y = max(y1, top), min(y2, top + height)
        if first_x < last_x and first_y < last_y:
            window[first_y - y1 : last_y - y1, first_x - x1 : last_x - x1] = self._part(
                first_x - left, first_y - top, last_x - left, last_y - top
            )
        return window

    @property
    def _is_packed(self) -> bool:
        return bool(self._shape[0] * self._shape[1] > _LARGE)

    def _part(self, left: int, top: int, right: int, bottom: int) -> MaskArray:
        """Columns and rows of the patch, half-open; read-only where they are not made anew."""
        if not self._is_packed:
            return self._stored[top:bottom, left:right]
        first = left // 8
        bits = np.unpackbits(self._stored[top:bottom, first : -(-right // 8)], axis=1, count=right - 8 * first)
        part: MaskArray = bits[:, left - 8 * first :]
        # One becomes 255.
        return np.negative(part, out=part)

    def __repr__(self) -> str:
        return f"Region(box={self._box}, area={self.area}, label={self._label!r}, source={self._source!r})"


def check_region_input(kind: str) -> None:
    """Raises `UsageError` where the encoder cannot be told about regions in this way."""
    if kind not in REGION_INPUTS:
        raise UsageError(f"there is no region input '{kind}'", fix="one of " + ", ".join(REGION_INPUTS))


def extent_of(mask: npt.NDArray[Any]) -> tuple[int, int, int, int] | None:
    """Where a mask is not zero.

    Args:
        mask: uint8 or bool `[H, W]`.

    Returns:
        `(x, y, width, height)` of the smallest box around it, or None where the mask is empty.
    """
    # Not cv2.boundingRect, which misses columns of narrow masks in OpenCV 4.8.
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return None
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def _cut_out(
    mask: npt.NDArray[Any], source: str | None, *, give_away: bool = False
) -> tuple[MaskArray, tuple[int, int]]:
    """The part of a mask that is not zero, as 0 and 255, and where it begins; raises where it is no mask, or empty."""
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype not in (np.uint8, np.bool_):
        raise AnnotationError(
            f"a mask must be uint8 or bool [H, W], this one is {mask.dtype} {list(mask.shape)}",
            where=source,
        )
    extent = extent_of(mask)
    if extent is None:
        raise AnnotationError("the mask is empty", where=source, fix="paint the defect white, or leave the item out")
    x, y, width, height = extent
    if give_away and mask.dtype == np.bool_ and mask.shape == (height, width):
        patch = mask.view(np.uint8)
    else:
        patch = np.not_equal(mask[y : y + height, x : x + width], 0).view(np.uint8)
    # One becomes 255.
    return np.negative(patch, out=patch), (x, y)


def _is_nested(points: list[Any]) -> bool:
    """Whether `points` is a list of polygons rather than one polygon."""
    # Looked at by hand: numpy would first copy all of it, and refuses ragged lists.
    first = points[0] if points else None
    if isinstance(first, np.ndarray):
        return first.ndim == 2
    return isinstance(first, list | tuple) and bool(first) and isinstance(first[0], list | tuple | np.ndarray)


def _whole_box(box: Sequence[float], source: str | None) -> Box:
    """Checks a box and cuts its coordinates to whole pixels."""
    try:
        x1, y1, x2, y2 = (int(value) for value in box)
    except (TypeError, ValueError, OverflowError) as error:
        raise AnnotationError(
            "a box must be four numbers, x1, y1, x2, y2", where=source, fix="correct the box"
        ) from error
    if max(abs(x1), abs(y1), abs(x2), abs(y2)) >= _FARTHEST:
        raise AnnotationError("a box has a coordinate that is not a usable number", where=source, fix="correct the box")
    return x1, y1, x2, y2


def _length(points: npt.ArrayLike) -> int:
    """How many points a polygon has that is looked at, at most."""
    return min(len(points), MAX_POINTS) if isinstance(points, list | tuple | np.ndarray) else 0


def _outline(points: npt.ArrayLike, source: str | None) -> npt.NDArray[np.int64]:
    """Checks one polygon and cuts its coordinates to whole pixels, int64 `[P, 2]`."""
    # A text has a length and numpy may read a number out of it; neither makes it a polygon.
    if not isinstance(points, list | tuple | np.ndarray):
        raise _not_pairs(source)
    if len(points) > MAX_POINTS:
        raise _too_many_points(source)
    try:
        outline = np.asarray(points, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise _not_pairs(source) from error
    if outline.size == 0:
        outline = outline.reshape(0, 2)
    if outline.ndim != 2 or outline.shape[1] != 2:
        raise _not_pairs(source)
    if len(outline) < 3:
        raise AnnotationError(
            f"a polygon needs at least 3 points, this one has {len(outline)}",
            where=source,
            fix="draw the outline of the defect, or use a box",
        )
    # False for NaN as well.
    if not np.all(np.abs(outline) < _FARTHEST):
        raise AnnotationError(
            "a polygon has a coordinate that is not a usable number", where=source, fix="correct the polygon"
        )
    return np.trunc(outline).astype(np.int64)


def _not_pairs(source: str | None) -> AnnotationError:
    return AnnotationError(
        "a polygon must be a list of [x, y] pairs of numbers", where=source, fix="correct the polygon"
    )


def _too_many_points(source: str | None) -> AnnotationError:
    return AnnotationError(f"a polygon has more than {MAX_POINTS} points", where=source, fix="simplify the outline")
