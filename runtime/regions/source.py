"""A source of regions: images and what their annotations say, before any pixel is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import AnnotationError, InputError, InputWarning
from mvrec_edge.runtime.images import read_image
from mvrec_edge.runtime.images.missing import MissingPart
from mvrec_edge.runtime.regions.annotation import (
    Annotation,
    MaskFileShape,
    UnusableShape,
    forget_frames,
    size_warnings,
)
from mvrec_edge.runtime.regions.components import MAX_INSTANCES
from mvrec_edge.runtime.regions.drawing_budget import drawing_budget
from mvrec_edge.runtime.regions.region import Region
from mvrec_edge.runtime.regions.shapes import WholeImageShape
from mvrec_edge.runtime.wording import counted

__all__ = ["TITLES", "RegionReading", "RegionSource", "SourceBuilder", "SourceImage", "check_count", "named"]

#: The formats as a person calls them.
TITLES = {
    "folders": "images with masks",
    "labelme": "labelme",
    "coco": "COCO",
    "voc": "Pascal VOC",
    "yolo": "YOLO",
    "mvtec-fs": "MVTec-FS",
    "boxes": "boxes",
    "aitex": "AITEX",
}
# A defect leaves something of the part around it; black and white exchanged do not.
_MOST_OF_AN_IMAGE = 0.9
_MOST_NAMES = 3


@dataclass(frozen=True)
class RegionReading:
    """What the annotations of one image came to.

    Attributes:
        indexed: The regions with the index of the annotation that each came from, in the file's order.
        problems: The annotations that could not be used, one error each.
        warnings: What is odd about annotations that were used.
    """

    indexed: tuple[tuple[int, Region], ...]
    problems: tuple[AnnotationError, ...]
    warnings: tuple[InputWarning, ...] = ()

    @property
    def regions(self) -> list[Region]:
        """The regions alone, in the file's order."""
        return [region for _, region in self.indexed]

    @property
    def shows_no_defect(self) -> bool:
        """Whether the image is a part without a defect: it has no region, and nothing was wrong."""
        return not self.indexed and not self.problems


@dataclass(frozen=True)
class SourceImage:
    """One image and its annotations.

    Attributes:
        id: Its name within the source, with forward slashes; no two images of a source share one.
        path: Its file.
        annotations: In the file's order; none where the image shows no defect.
        needs_defect: Whether an image without a defect is a problem.
        damaged: `"refuse"` for an image that must be whole, `"warn"` for one that may be damaged (see `read_image`).
        part: The part, or product, that it shows; None where that is not known, or annotations say it.
    """

    id: str
    path: Path
    annotations: tuple[Annotation, ...]
    needs_defect: bool = False
    damaged: str = "refuse"
    part: str | None = None

    def read(self, warn: Callable[[InputWarning], None] | None = None) -> npt.NDArray[np.uint8]:
        """Reads the image.

        Args:
            warn: Given what is odd about the file.

        Returns:
            uint8 `[H, W, 3]`, RGB.

        Raises:
            ImageError: As for `read_image`.
        """
        return read_image(self.path, warn=warn, damaged=self.damaged)

    def regions(
        self, image_size: tuple[int, ...], min_area: int | None = None, *, missing: MissingPart | None = None
    ) -> RegionReading:
        """Turns the annotations into regions; a bad one costs only itself.

        Args:
            image_size: `(H, W)` of the image as `read` returns it.
            min_area: Smallest connected component of a mask file, in pixels; by default `DEFAULT_MIN_AREA`.
            missing: The part of a damaged image that is missing; a region that lies wholly in it is a problem.

        Returns:
            The regions, and a problem for every annotation that could not be used.
        """
        size = (int(image_size[0]), int(image_size[1]))
        indexed: list[tuple[int, Region]] = []
        problems: list[AnnotationError] = []
        warnings = size_warnings(self.annotations, size, self.path)
        with drawing_budget():
            for annotation in self.annotations:
                try:
                    found = annotation.regions(size, min_area, warn=warnings.append)
                except AnnotationError as error:
                    problems.append(forget_frames(error))
                else:
                    part = self.part or annotation.part
                    found = found if part is None else [region.with_part(part) for region in found]
                    there, lost = _parted(found, missing)
                    problems.extend(_not_there(region, self.path) for region in lost)
                    indexed.extend((annotation.index, region) for region in there)
                    warnings.extend(_warn_of_size(annotation, found))
        if self.needs_defect and not indexed and not problems:
            problems.append(
                AnnotationError(
                    "the image shows no defect", where=self.path, fix="leave the image out, or give --empty skip"
                )
            )
        return RegionReading(tuple(indexed), tuple(problems), tuple(warnings))


@dataclass(frozen=True)
class RegionSource:
    """Images with their annotations, as `open_source` found them.

    Attributes:
        path: The folder or file that was opened.
        format: The annotation format, one of `SOURCE_FORMATS`.
        images: The images, in order; iterating over the source gives the same.
        problems: What costs only one item each, such as a label file that is broken or an image that is missing.
        warnings: What is odd about the source as a whole.
        label_files: The files that hold all labels, where there are few; none where each image has one of its own.
        left_out: Files that were not looked at, since mvrec-edge wrote them or is about to.
        masks_unread: Whether there are masks as well, which the label file comes before.
        names_file: The file with the names of the classes, where the format has one.
        unread: Label files of another format that are not read, by their format.
    """

    path: Path
    format: str
    images: tuple[SourceImage, ...]
    problems: tuple[InputError, ...]
    warnings: tuple[InputWarning, ...] = ()
    label_files: tuple[Path, ...] = ()
    left_out: tuple[Path, ...] = ()
    masks_unread: bool = False
    unread: tuple[tuple[str, tuple[Path, ...]], ...] = ()
    names_file: Path | None = None

    def __iter__(self) -> Iterator[SourceImage]:
        return iter(self.images)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def whole_images(self) -> int:
        """How many images are cut-out defects: one region that covers them."""
        return sum(_is_whole(image) for image in self.images)

    def describe(self) -> str:
        """What was recognised, in one line, with what is known before any pixel is read."""
        annotations = [annotation for image in self.images for annotation in image.annotations]
        usable = [annotation for annotation in annotations if not isinstance(annotation.shape, UnusableShape)]
        labels = {annotation.label for annotation in annotations} - {None}
        title = TITLES[self.format]
        if self.images and self.whole_images == len(self.images):
            title = "cut-out defects, each image one region"
        elif self.label_files:
            title += f" ({named(self.label_files)})"
        parts = [counted(len(self.images), "image")]
        # Of a mask, nobody knows yet into how many regions it falls.
        if not any(isinstance(annotation.shape, MaskFileShape) for annotation in annotations):
            parts.append(counted(len(usable), "region"))
        parts.append(counted(len(labels), "label"))
        line = f"read as {title}: {', '.join(parts)}"
        if self.names_file is not None:
            inside = self.names_file.is_relative_to(self.path)
            line += f", named by {self.names_file.name if inside else self.names_file}"
        if good := sum(not image.annotations for image in self.images):
            line += f"; {counted(good, 'image')} without a defect"
        if self.left_out:
            line += f"; left out as output of mvrec-edge: {named(self.left_out)}"
        for kind, files in self.unread:
            line += f"; not read: {TITLES[kind]} ({named(files)})"
        if self.masks_unread:
            line += "; masks are there too and not read, since label files come first (--format folders reads masks)"
        return line


class SourceBuilder:
    """Collects annotations and groups them by image, in the order of the images' first appearance.

    Args:
        path: What is being opened.
        format: Its annotation format.
    """

    def __init__(self, path: Path, format: str) -> None:  # noqa: A002
        self.path = path
        self.format = format
        self.problems: list[InputError] = []
        self.warnings: list[InputWarning] = []
        self._images: dict[str, tuple[Path, list[Annotation]]] = {}

    def add(self, image_id: str, image: Path, annotation: Annotation) -> None:
        """Adds an annotation to its image."""
        self._images.setdefault(image_id, (image, []))[1].append(annotation)

    def add_image(self, image_id: str, image: Path) -> None:
        """Adds an image, and no annotation: one that stays without any shows no defect."""
        self._images.setdefault(image_id, (image, []))

    def problem(self, error: InputError) -> None:
        """Notes what costs one item only."""
        self.problems.append(forget_frames(error))

    def build(self, nothing: str, fix: str) -> RegionSource:
        """Finishes the source.

        Args:
            nothing: What to say where there is no image.
            fix: And what to do about it.

        Raises:
            InputError: There is no image at all; a first problem is named where there are problems.
        """
        images: list[SourceImage] = []
        for image_id, (path, entries) in self._images.items():
            try:
                check_count(len(entries), path)
            except AnnotationError as error:
                self.problem(error)
            else:
                images.append(SourceImage(image_id, path, tuple(entries)))
        if not images:
            if self.problems:
                first = self.problems[0]
                nothing = (
                    f"{nothing}; the first of {counted(len(self.problems), 'problem')}: {first.where}: {first.what}"
                )
            raise InputError(nothing, where=self.path, fix=fix)
        return RegionSource(self.path, self.format, tuple(images), tuple(self.problems), tuple(self.warnings))


def check_count(count: int, where: object) -> None:
    """Raises `AnnotationError` where an image has more instances than can be meant."""
    if count > MAX_INSTANCES:
        what = f"the image has {count} instances, more than {MAX_INSTANCES}"
        raise AnnotationError(what, where=where, fix="cut the image into tiles")


def _is_whole(image: SourceImage) -> bool:
    return any(isinstance(annotation.shape, WholeImageShape) for annotation in image.annotations)


def named(files: Sequence[Path]) -> str:
    """A few files by their names, of many only the number besides."""
    names = ", ".join(file.name for file in files[:_MOST_NAMES])
    return names if len(files) <= _MOST_NAMES else f"{names} and {len(files) - _MOST_NAMES} more"


def _parted(regions: Sequence[Region], missing: MissingPart | None) -> tuple[list[Region], list[Region]]:
    """The regions of which there is something, and those that are wholly missing."""
    there: list[Region] = []
    lost: list[Region] = []
    for region in regions:
        share = 0.0 if missing is None else missing.share_of(region.patch, region.origin)
        (lost if share == 1 else there).append(region)
    return there, lost


def _not_there(region: Region, image: Path) -> AnnotationError:
    return AnnotationError(
        "lies wholly in the part of the damaged image that is missing",
        where=region.source or image,
        fix="copy the image again, or leave the region out",
    )


def _warn_of_size(annotation: Annotation, regions: Sequence[Region]) -> Iterator[InputWarning]:
    """A warning where what was marked is nearly the whole image."""
    if not regions or isinstance(annotation.shape, WholeImageShape):
        return
    height, width = regions[0].image_size
    share = sum(region.area for region in regions) / (height * width)
    if share > _MOST_OF_AN_IMAGE:
        what = "mask" if isinstance(annotation.shape, MaskFileShape) else "region"
        yield InputWarning(
            f"the {what} covers {100 * share:.0f}% of the image",
            annotation.source,
            "check that the defect is white and the rest black; where the image is a cut-out defect, give --input full",
        )
