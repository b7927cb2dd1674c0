"""What a label file says: a shape and a label, before it is known which image it lies on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError, ImageError, InputWarning
from mvrec_edge.runtime.images import read_mask
from mvrec_edge.runtime.regions.components import regions_of_mask
from mvrec_edge.runtime.regions.formats.rle import decode_rle
from mvrec_edge.runtime.regions.region import Region

__all__ = ["Annotation", "BoxShape", "MaskFileShape", "PolygonShape", "RleShape", "Shape", "UnusableShape"]


@dataclass(frozen=True)
class PolygonShape:
    """Closed polygons, filled together.

    Attributes:
        polygons: Each a list of [x, y] pairs in pixels; checked when it becomes a region.
    """

    polygons: tuple[Any, ...]

    def regions(self, annotation: Annotation, image_size: tuple[int, int]) -> list[Region]:
        """The region the polygons enclose; raises `AnnotationError` as `Region.from_polygon` does."""
        parts: Any = self.polygons[0] if len(self.polygons) == 1 else list(self.polygons)
        return [Region.from_polygon(parts, image_size, annotation.box, annotation.label, annotation.source)]


@dataclass(frozen=True)
class BoxShape:
    """A box, whose inside is the mask.

    Attributes:
        box: `(x1, y1, x2, y2)` in pixels, `x2` and `y2` being the last column and row covered; checked when it
            becomes a region.
    """

    box: tuple[Any, ...]

    def regions(self, annotation: Annotation, image_size: tuple[int, int]) -> list[Region]:
        """The filled box; raises `AnnotationError` as `Region.from_box` does."""
        return [Region.from_box(self.box, image_size, annotation.label, annotation.source)]


@dataclass(frozen=True)
class RleShape:
    """A run-length mask as COCO stores it.

    Attributes:
        counts: A list of runs, or the compressed text.
        size: `[H, W]` as the label file says.
    """

    counts: Any
    size: Any

    def regions(self, annotation: Annotation, image_size: tuple[int, int]) -> list[Region]:
        """The region the runs cover; raises `AnnotationError` where they are broken or of another size."""
        size = self.size
        if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int for side in size):
            raise AnnotationError(
                "the run-length mask has no size [height, width]",
                where=annotation.source,
                fix="export it again",
            )
        check_mask_size((size[0], size[1]), image_size, annotation.source)
        mask = decode_rle(self.counts, image_size, annotation.source)
        return [Region(mask, annotation.box, annotation.label, annotation.source)]


@dataclass(frozen=True)
class MaskFileShape:
    """A mask image; each of its connected components is a region.

    Attributes:
        path: The mask's file.
    """

    path: Path

    def regions(
        self,
        annotation: Annotation,
        image_size: tuple[int, int],
        min_area: int | None,
        warn: Callable[[InputWarning], None] | None,
    ) -> list[Region]:
        """Reads the mask and splits it; raises `AnnotationError` where it cannot be used."""
        try:
            mask = read_mask(self.path, warn=warn)
        except ImageError as error:
            raise AnnotationError(f"the mask cannot be used: {error.what}", where=self.path, fix=error.fix) from error
        check_mask_size((mask.shape[0], mask.shape[1]), image_size, str(self.path))
        return regions_of_mask(mask, label=annotation.label, source=annotation.source, min_area=min_area)


@dataclass(frozen=True)
class UnusableShape:
    """An annotation that was wrong already in its file.

    Attributes:
        error: What is wrong with it.
    """

    error: AnnotationError


Shape = PolygonShape | BoxShape | RleShape | MaskFileShape | UnusableShape


@dataclass(frozen=True)
class Annotation:
    """One entry of a label file.

    Attributes:
        shape: What it draws.
        label: The class name, or None where it is not known.
        source: Where it stands, as `"<file>#<index>"`; of a mask, its file alone, as its regions are numbered.
        index: Its place among all entries of the whole source, from 0: in a table the row, whatever the image.
        box: `(x1, y1, x2, y2)` where the file gives one besides the shape.
    """

    shape: Shape
    label: str | None
    source: str
    index: int
    box: tuple[Any, ...] | None = None

    def regions(
        self,
        image_size: tuple[int, int],
        min_area: int | None = None,
        *,
        warn: Callable[[InputWarning], None] | None = None,
    ) -> list[Region]:
        """What the annotation means on its image.

        Args:
            image_size: `(H, W)` of the image, after any EXIF rotation.
            min_area: Smallest component of a mask file, in pixels; other shapes are taken whatever their size.
            warn: Given what is odd about the annotation, though it can be used.

        Returns:
            One region, or the components of a mask file.

        Raises:
            AnnotationError: The annotation cannot be used on this image.
        """
        if isinstance(self.shape, UnusableShape):
            raise self.shape.error
        if isinstance(self.shape, MaskFileShape):
            return self.shape.regions(self, image_size, min_area, warn)
        return self.shape.regions(self, image_size)


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
