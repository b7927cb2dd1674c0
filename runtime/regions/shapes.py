"""What label files draw: polygons, boxes and masks, before it is known how large their image is."""

from __future__ import annotations

import base64
import binascii
import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import AnnotationError, ImageError
from mvrec_edge.runtime.images import read_mask_bytes
from mvrec_edge.runtime.regions.drawing_budget import POINT_WORK, check_left
from mvrec_edge.runtime.regions.formats.rle import region_of_rle
from mvrec_edge.runtime.regions.region import Region

__all__ = [
    "BoxShape",
    "CircleShape",
    "EncodedMaskShape",
    "NormalisedBoxShape",
    "NormalisedPolygonShape",
    "PolygonShape",
    "RleShape",
    "UnionShape",
    "WholeImageShape",
    "check_mask_size",
    "check_pixels",
    "rotated_corners",
]

# Files give six digits after the point: on an image of 10,000 pixels their last one is a hundredth of a pixel.
_ROUNDING = 0.01
_PNG = b"\x89PNG\r\n\x1a\n"


class Entry(Protocol):
    """What a shape has to know of the annotation that draws it (`Annotation` has it)."""

    @property
    def box(self) -> tuple[Any, ...] | None:
        """`(x1, y1, x2, y2)` where the file gives one besides the shape."""

    @property
    def label(self) -> str | None:
        """The class name, or None where it is not known."""

    @property
    def source(self) -> str:
        """Where it stands."""


class Drawn(Protocol):
    """An annotation that becomes a region (`Annotation` is one)."""

    def regions(self, image_size: tuple[int, int]) -> list[Region]:
        """Its regions on an image of `(H, W)`; raises `AnnotationError` where there are none."""


class DrawnShape(Protocol):
    """A shape that becomes one region."""

    def regions(self, annotation: Entry, image_size: tuple[int, int]) -> list[Region]:
        """The one region on an image of `(H, W)`; raises `AnnotationError` where there is none."""


@dataclass(frozen=True)
class PolygonShape:
    """Closed polygons, filled together.

    Attributes:
        polygons: Each a list of [x, y] pairs in pixels; checked when it becomes a region.
    """

    polygons: tuple[Any, ...]

    def regions(self, annotation: Entry, image_size: tuple[int, int]) -> list[Region]:
        """The region the polygons enclose; raises `AnnotationError` as `Region.from_polygon` does."""
        parts: Any = self.polygons[0] if len(self.polygons) == 1 else list(self.polygons)
        region = Region.from_polygon(parts, image_size, annotation.box, annotation.label, annotation.source)
        if max(region.origin) <= 1 and max(region.patch_size) <= 2:
            values = (value for polygon in self.polygons for pair in polygon for value in pair)
            check_pixels(values, annotation.source)
        return [region]


@dataclass(frozen=True)
class BoxShape:
    """A box, whose inside is the mask.

    Attributes:
        box: `(x1, y1, x2, y2)` in pixels, `x2` and `y2` being the last column and row covered; checked when it
            becomes a region.
    """

    box: tuple[Any, ...]

    def regions(self, annotation: Entry, image_size: tuple[int, int]) -> list[Region]:
        """The filled box; raises `AnnotationError` as `Region.from_box` does, and where it is not in pixels."""
        region = Region.from_box(self.box, image_size, annotation.label, annotation.source)
        check_pixels(self.box, annotation.source)
        return [region]


@dataclass(frozen=True)
class CircleShape:
    """A circle.

    Attributes:
        centre: x and y in pixels.
        radius: In pixels.
    """

    centre: tuple[float, float]
    radius: float

    def regions(self, annotation: Entry, image_size: tuple[int, int]) -> list[Region]:
        """The disc, as a polygon with a corner for about each pixel of the outline; raises as `Region.from_polygon`."""
        corners = int(min(max(2 * math.pi * self.radius, 16), 4096))
        check_left(corners * POINT_WORK, annotation.source)
        outline = _unit_circle(corners) * self.radius + self.centre
        # Rounded here, because a polygon's coordinates are cut, which would shift the circle by half a pixel.
        points = np.floor(outline + 0.5)
        region = Region.from_polygon(points, image_size, annotation.box, annotation.label, annotation.source)
        if max(region.origin) <= 1 and max(region.patch_size) <= 2:
            check_pixels((*self.centre, self.radius), annotation.source)
        return [region]


@dataclass(frozen=True)
class RleShape:
    """A run-length mask as COCO stores it.

    Attributes:
        counts: A list of runs, or the compressed text.
        size: `[H, W]` as the label file says.
    """

    counts: Any
    size: Any

    def regions(self, annotation: Entry, image_size: tuple[int, int]) -> list[Region]:
        """The region the runs cover; raises `AnnotationError` where they are broken or of another size."""
        size = self.size
        if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int for side in size):
            raise AnnotationError(
                "the run-length mask has no size [height, width]", where=annotation.source, fix="export it again"
            )
        check_mask_size((size[0], size[1]), image_size, annotation.source)
        return [region_of_rle(self.counts, image_size, annotation.box, annotation.label, annotation.source)]


@dataclass(frozen=True)
class EncodedMaskShape:
    """A mask inside the label file: a PNG in base64, which covers a box of the image.

    Attributes:
        text: The PNG in base64.
        box: `(x1, y1, x2, y2)` in pixels, `x2` and `y2` being the last column and row that it covers.
    """

    text: Any
    box: tuple[int, int, int, int]

    def regions(self, annotation: Entry, image_size: tuple[int, int]) -> list[Region]:
        """The region that the mask paints; raises `AnnotationError` where it is broken or does not fit its box."""
        source = annotation.source
        data = self._png(source)
        width, height = (int.from_bytes(data[place : place + 4], "big") for place in (16, 20))
        x1, y1, x2, y2 = self.box
        # Asked before anything is decoded. Programs disagree on whether the second corner is the last pixel.
        if width not in (x2 - x1, x2 - x1 + 1) or height not in (y2 - y1, y2 - y1 + 1):
            raise AnnotationError(
                f"the mask has {width} x {height} pixels, but its points enclose {x2 - x1 + 1} x {y2 - y1 + 1}",
                where=source,
                fix="draw it again",
            )
        if width > image_size[1] or height > image_size[0]:
            raise AnnotationError(
                f"the mask has {width} x {height} pixels, the image {image_size[1]} x {image_size[0]}",
                where=source,
                fix="check that the annotation belongs to this image",
            )
        try:
            mask = read_mask_bytes(data, source)
        except ImageError as error:
            what = f"the mask cannot be used: {error.what}"
            raise AnnotationError(what, where=source, fix="draw it again") from error
        return [Region.from_patch(mask, (x1, y1), image_size, annotation.label, source)]

    def _png(self, source: str) -> bytes:
        try:
            data = base64.b64decode(self.text, validate=True) if isinstance(self.text, str) else b""
        except (binascii.Error, ValueError):
            data = b""
        if not data.startswith(_PNG) or data[12:16] != b"IHDR" or len(data) < 24:
            raise AnnotationError("the mask is not a PNG in base64", where=source, fix="draw it again")
        return data


@dataclass(frozen=True)
class NormalisedBoxShape:
    """A box in shares of the image's width and height.

    Attributes:
        box: `(x1, y1, x2, y2)`, 0 being the image's first edge and 1 its last one.
    """

    box: tuple[float, float, float, float]

    def regions(self, annotation: Entry, image_size: tuple[int, int]) -> list[Region]:
        """The pixels that the box touches; raises `AnnotationError` as `Region.from_box` does."""
        height, width = image_size
        x1, y1, x2, y2 = self.box
        first = (math.floor(x1 * width + _ROUNDING), math.floor(y1 * height + _ROUNDING))
        last = (math.ceil(x2 * width - _ROUNDING) - 1, math.ceil(y2 * height - _ROUNDING) - 1)
        box = (*first, max(last[0], first[0]), max(last[1], first[1]))
        return [Region.from_box(box, image_size, annotation.label, annotation.source)]


@dataclass(frozen=True)
class NormalisedPolygonShape:
    """A closed polygon in shares of the image's width and height.

    Attributes:
        points: Pairs of x and y, 0 being the image's first edge and 1 its last one.
    """

    points: tuple[tuple[float, float], ...]

    def regions(self, annotation: Entry, image_size: tuple[int, int]) -> list[Region]:
        """The region the polygon encloses; raises `AnnotationError` as `Region.from_polygon` does."""
        height, width = image_size
        points = [
            (min(x * width + _ROUNDING, width - 1), min(y * height + _ROUNDING, height - 1)) for x, y in self.points
        ]
        return [Region.from_polygon(points, image_size, annotation.box, annotation.label, annotation.source)]


@dataclass(frozen=True)
class UnionShape:
    """Several annotations that are one defect.

    Attributes:
        parts: The annotations.
    """

    parts: tuple[Drawn, ...]

    def regions(self, annotation: Entry, image_size: tuple[int, int]) -> list[Region]:
        """What any of the shapes covers; raises `AnnotationError` where one of them cannot be used."""
        regions = [region for part in self.parts for region in part.regions(image_size)]
        left, top = (min(region.origin[axis] for region in regions) for axis in (0, 1))
        right = max(region.origin[0] + region.patch_size[1] for region in regions)
        bottom = max(region.origin[1] + region.patch_size[0] for region in regions)
        patch = np.zeros((bottom - top, right - left), np.uint8)
        for region in regions:
            x, y = region.origin[0] - left, region.origin[1] - top
            patch[y : y + region.patch_size[0], x : x + region.patch_size[1]] |= region.patch
        return [Region.from_patch(patch, (left, top), image_size, annotation.label, annotation.source)]


@dataclass(frozen=True)
class WholeImageShape:
    """The whole image: it was cut out around a defect, so nothing says where in it the defect is."""

    def regions(self, annotation: Entry, image_size: tuple[int, int]) -> list[Region]:
        """The region that covers the image."""
        return [Region.full(image_size, None, annotation.label, annotation.source)]


@functools.lru_cache(maxsize=16)
def _unit_circle(corners: int) -> npt.NDArray[np.float64]:
    angles = 2 * np.pi / corners * np.arange(corners)
    return np.stack((np.cos(angles), np.sin(angles)), axis=1)


def check_mask_size(mask_size: tuple[int, int], image_size: tuple[int, int], where: str) -> None:
    """Refuses a mask that is not as large as its image."""
    if mask_size == tuple(image_size):
        return
    fix = "make the mask from this very image"
    if mask_size == (image_size[1], image_size[0]):
        fix = "the sides are exchanged: one of the two is turned by its EXIF rotation, save both upright"
    raise AnnotationError(
        f"the mask has {mask_size[1]} x {mask_size[0]} pixels, the image {image_size[1]} x {image_size[0]}",
        where=where,
        fix=f"{fix}; EXIF rotation is applied to both" if "EXIF" not in fix else fix,
    )


def check_pixels(values: Iterable[Any], source: str) -> None:
    """Refuses coordinates that are shares of the image: all from 0 to 1, and not all of them whole."""
    numbers = [float(value) for value in values]
    if all(0 <= number <= 1 for number in numbers) and any(number % 1 for number in numbers):
        raise AnnotationError(
            "the coordinates are shares of the image, from 0 to 1, and not pixels",
            where=source,
            fix="multiply x by the image's width and y by its height",
        )


def rotated_corners(centre: Sequence[float], size: Sequence[float], radians: float) -> list[tuple[int, int]]:
    """The corners of a box that is turned clockwise around its centre, as whole pixels.

    Args:
        centre: x and y of the centre.
        size: From corner to corner, before it is turned: width and height, of whole pixels one less.
        radians: The angle, clockwise as the image is seen (y runs down).
    """
    cosine, sine = math.cos(radians), math.sin(radians)
    corners = []
    for right, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        x, y = right * size[0] / 2, down * size[1] / 2
        # Rounded here, because a polygon's coordinates are cut, which would shift the box by half a pixel.
        corners.append(
            (
                math.floor(centre[0] + x * cosine - y * sine + 0.5),
                math.floor(centre[1] + x * sine + y * cosine + 0.5),
            )
        )
    return corners
