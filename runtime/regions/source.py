"""A source of regions: images and what their annotations say, before any pixel is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError, InputError, InputWarning
from mvrec_edge.runtime.regions.annotation import Annotation
from mvrec_edge.runtime.regions.components import MAX_INSTANCES
from mvrec_edge.runtime.regions.region import Region
from mvrec_edge.runtime.wording import counted

__all__ = ["RegionReading", "RegionSource", "SourceBuilder", "SourceImage"]


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


@dataclass(frozen=True)
class SourceImage:
    """One image and its annotations.

    Attributes:
        id: Its name within the source, with forward slashes; no two images of a source share one.
        path: Its file.
        annotations: At least one, in the file's order.
    """

    id: str
    path: Path
    annotations: tuple[Annotation, ...]

    def regions(self, image_size: tuple[int, ...], min_area: int | None = None) -> RegionReading:
        """Turns the annotations into regions; a bad one costs only itself.

        Args:
            image_size: `(H, W)` of the image as `read_image` returns it.
            min_area: Smallest connected component of a mask file, in pixels; by default `DEFAULT_MIN_AREA`.

        Returns:
            The regions, and a problem for every annotation that could not be used.
        """
        size = (int(image_size[0]), int(image_size[1]))
        indexed: list[tuple[int, Region]] = []
        problems: list[AnnotationError] = []
        warnings: list[InputWarning] = []
        for annotation in self.annotations:
            try:
                found = annotation.regions(size, min_area, warn=warnings.append)
            except AnnotationError as error:
                problems.append(error)
            else:
                indexed.extend((annotation.index, region) for region in found)
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
    """

    path: Path
    format: str
    images: tuple[SourceImage, ...]
    problems: tuple[InputError, ...]
    warnings: tuple[InputWarning, ...] = ()

    def __iter__(self) -> Iterator[SourceImage]:
        return iter(self.images)

    def __len__(self) -> int:
        return len(self.images)


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

    def problem(self, error: InputError) -> None:
        """Notes what costs one item only."""
        self.problems.append(error)

    def build(self, nothing: str, fix: str) -> RegionSource:
        """Finishes the source.

        Args:
            nothing: What to say where no annotation was usable.
            fix: And what to do about it.

        Raises:
            InputError: There is no annotation at all; a first problem is named where there are problems.
        """
        images: list[SourceImage] = []
        for image_id, (path, entries) in self._images.items():
            if len(entries) > MAX_INSTANCES:
                self.problem(
                    AnnotationError(
                        f"the image has {len(entries)} instances, more than {MAX_INSTANCES}",
                        where=path,
                        fix="cut the image into tiles",
                    )
                )
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
