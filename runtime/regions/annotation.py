"""What a label file says: a shape and a label, before it is known which image it lies on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mvrec_edge.runtime.errors import AnnotationError, ImageError, InputError, InputWarning
from mvrec_edge.runtime.images import read_image, read_mask
from mvrec_edge.runtime.images.pixels import has_two_values
from mvrec_edge.runtime.regions.components import regions_of_mask
from mvrec_edge.runtime.regions.region import Region
from mvrec_edge.runtime.regions.shapes import DrawnShape, check_mask_size

__all__ = ["Annotation", "MaskFileShape", "Shape", "UnusableShape", "declared_size", "forget_frames", "size_warnings"]

_Error = TypeVar("_Error", bound=InputError)

_WHOLE = re.compile(r"\d{1,9}(\.0*)?", re.ASCII)
_LARGEST_SIDE = 10**9


@dataclass(frozen=True)
class MaskFileShape:
    """A mask image; each of its connected components is a region.

    Attributes:
        path: The mask's file.
        guessed_for: The image, where the suffixes alone tell which of the two files is the mask.
    """

    path: Path
    guessed_for: Path | None = None

    def regions(
        self,
        annotation: Annotation,
        image_size: tuple[int, int],
        min_area: int | None,
        warn: Callable[[InputWarning], None] | None,
    ) -> list[Region]:
        """Reads the mask and splits it; raises `AnnotationError` where it cannot be used."""
        try:
            if self.guessed_for is not None:
                self._check_guess(self.guessed_for)
            mask = read_mask(self.path, warn=warn)
        except ImageError as error:
            raise AnnotationError(f"the mask cannot be used: {error.what}", where=self.path, fix=error.fix) from error
        check_mask_size((mask.shape[0], mask.shape[1]), image_size, str(self.path))
        return regions_of_mask(mask, label=annotation.label, source=annotation.source, min_area=min_area)

    def _check_guess(self, image: Path) -> None:
        """Refuses a pair in which the image is black and white, as masks are, and the mask is not."""
        # Nearly all masks have two values: then the image is not read a second time.
        # That was read before, damaged or not; a damaged mask is refused.
        if has_two_values(read_image(self.path)) or not has_two_values(read_image(image, damaged="warn")):
            return
        raise AnnotationError(
            f"{image.name} has two values, as a mask has, and this file has more: image and mask seem to be exchanged",
            where=self.path,
            fix=f"name the mask with the ending _mask, as {image.stem}_mask{image.suffix}",
        )


@dataclass(frozen=True)
class UnusableShape:
    """An annotation that was wrong already in its file.

    Attributes:
        error: What is wrong with it.
    """

    error: AnnotationError

    def __post_init__(self) -> None:
        forget_frames(self.error)


Shape = DrawnShape | MaskFileShape | UnusableShape


@dataclass(frozen=True)
class Annotation:
    """One entry of a label file.

    Attributes:
        shape: What it draws.
        label: The class name, or None where it is not known.
        source: Where it stands, as `"<file>#<index>"`; of a mask, its file alone, as its regions are numbered.
        index: Its place among all entries of the whole source, from 0: in a table the row, whatever the image.
        box: `(x1, y1, x2, y2)` where the file gives one besides the shape.
        image_size: `(H, W)` of the image as the label file says, a side being 0 where it does not.
        part: The part, or product, that the image shows there, where it is wanted and said; else None.
    """

    shape: Shape
    label: str | None
    source: str
    index: int
    box: tuple[Any, ...] | None = None
    image_size: tuple[int, int] | None = None
    part: str | None = field(default=None, repr=False)

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
            One region, or the components of a mask file, which are none where it is empty.

        Raises:
            AnnotationError: The annotation cannot be used on this image.
        """
        if isinstance(self.shape, UnusableShape):
            raise self.shape.error
        if isinstance(self.shape, MaskFileShape):
            return self.shape.regions(self, image_size, min_area, warn)
        return self.shape.regions(self, image_size)


def forget_frames(error: _Error) -> _Error:
    """An error without where it was raised: among thousands that are kept, each would hold what its frames held."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def declared_size(height: Any, width: Any) -> tuple[int, int] | None:
    """The size of an image as a label file gives it.

    Args:
        height: A number, or a text with one; what is missing, 0 or no number says nothing.
        width: The same.

    Returns:
        `(H, W)`, a side being 0 where it is not known; None where neither is.
    """
    size = (_side(height), _side(width))
    return None if size == (0, 0) else size


def size_warnings(annotations: Iterable[Annotation], image_size: tuple[int, int], image: Path) -> list[InputWarning]:
    """A warning for every size that annotations give and their image does not have.

    Args:
        annotations: Those of one image.
        image_size: `(H, W)` of the image, after any EXIF rotation.
        image: Its file.
    """
    said = dict.fromkeys(annotation.image_size for annotation in annotations if annotation.image_size is not None)
    return [
        _size_warning(size, image_size, image)
        for size in said
        if any(side not in (0, real) for side, real in zip(size, image_size, strict=True))
    ]


def _size_warning(said: tuple[int, int], size: tuple[int, int], image: Path) -> InputWarning:
    height, width = (str(side or "?") for side in said)
    fix = "label this very image, or correct the size in the label file"
    if said == (size[1], size[0]):
        fix = "the sides are exchanged: label the image as it is seen, its EXIF rotation is applied here"
    return InputWarning(
        f"the label file says that the image has {width} x {height} pixels, but it has {size[1]} x {size[0]}, so the "
        "regions may lie at the wrong place",
        str(image),
        fix,
    )


def _side(value: Any) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 < value < _LARGEST_SIDE and value == int(value) else 0
