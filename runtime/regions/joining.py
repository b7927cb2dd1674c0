"""Several label files of one format as one source, such as the subsets `train`, `valid` and `test` of an export."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.regions.annotation import Annotation, UnusableShape
from mvrec_edge.runtime.regions.source import RegionSource, SourceImage

__all__ = ["join_sources", "refuse_copies"]


def join_sources(folder: Path, sources: Sequence[RegionSource]) -> RegionSource:
    """Joins the sources that were opened of the label files of a folder.

    Args:
        folder: The folder that was given.
        sources: At least one, each of one label file in the folder, and all of one format.

    Returns:
        The source. Images are named by their place in the folder, and where a region stands begins with the place of
        its label file; the indices count through all files.
    """
    images: dict[Path, SourceImage] = {}
    first = 0
    for source in sources:
        inside = source.path.relative_to(folder)
        count = 0
        for image in source:
            moved = [_moved(annotation, inside, first) for annotation in image.annotations]
            count = max([count, *(annotation.index + 1 for annotation in image.annotations)])
            known = images.get(image.path, SourceImage(_name(image, folder, inside), image.path, ()))
            images[image.path] = dataclasses.replace(known, annotations=(*known.annotations, *moved))
        first += count
    return RegionSource(
        folder,
        sources[0].format,
        tuple(images.values()),
        tuple(itertools.chain.from_iterable(source.problems for source in sources)),
        tuple(itertools.chain.from_iterable(source.warnings for source in sources)),
    )


def _name(image: SourceImage, folder: Path, file: Path) -> str:
    inside = image.path.is_relative_to(folder)
    return (image.path.relative_to(folder) if inside else file.parent / image.id).as_posix()


def _moved(annotation: Annotation, file: Path, first: int) -> Annotation:
    number = annotation.source.rpartition("#")[2]
    return dataclasses.replace(annotation, source=f"{file.as_posix()}#{number}", index=first + annotation.index)


def refuse_copies(source: RegionSource) -> None:
    """Refuses a source of several label files of which two mark the same region.

    Raises:
        InputError: They do, so that one of them is likely a copy of the other.
    """
    for image in source:
        files = [annotation.source.rpartition("#")[0] for annotation in image.annotations]
        if len(set(files)) < 2:
            continue
        for (file, one), (other, two) in itertools.combinations(zip(files, image.annotations, strict=True), 2):
            if file != other and not isinstance(one.shape, UnusableShape) and one.shape == two.shape:
                raise InputError(
                    f"two label files of the folder mark the same region of {image.path.name}: {file}, {other}",
                    where=source.path,
                    fix="give one of them",
                )
