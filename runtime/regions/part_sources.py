"""Where a source says which part each image shows: a folder for each part, or a column of a table of boxes."""

from __future__ import annotations

import dataclasses
import unicodedata
from pathlib import Path

from mvrec_edge.runtime.errors import InputError, UsageError
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.images.image_files import is_folder
from mvrec_edge.runtime.regions.listing import list_files
from mvrec_edge.runtime.regions.source import RegionSource

__all__ = ["PART_FROM", "check_part_from", "of_part", "part_folders", "with_wanted_parts"]

#: Where the parts of a source are read from.
PART_FROM = ("folder", "column")


def check_part_from(name: str | None) -> None:
    """Refuses what parts cannot be read from.

    Raises:
        UsageError: There is no such place.
    """
    if name is not None and name not in PART_FROM:
        raise UsageError(f"parts cannot be read from '{name}'", fix="one of " + ", ".join(PART_FROM))


def part_folders(path: Path) -> list[tuple[str, Path]]:
    """The folders of the parts in a folder, `PATH/PART/...`, each a source of its own.

    Args:
        path: The folder.

    Returns:
        Name and folder of each part, sorted by name. Hidden folders are left out.

    Raises:
        InputError: It is no folder, has no folder in it, or has images beside them, which would be of no part.
    """
    fix = "put the images of each part into a folder of its own, PART/CLASS/..., or name the one part with --part"
    if not is_folder(path):
        raise InputError("is no folder, so it holds no folders of parts", where=path, fix=fix)
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise InputError(
            f"the folder cannot be read: {error.strerror or error}", where=path, fix="check its permissions"
        ) from error
    folders = [
        (unicodedata.normalize("NFC", entry.name), entry)
        for entry in entries
        if is_folder(entry) and not entry.name.startswith(".")
    ]
    if not folders:
        raise InputError("holds no folders of parts", where=path, fix=fix)
    if loose := list_files(path, IMAGE_SUFFIXES, recursive=False):
        raise InputError(f"holds images beside the folders of parts, such as {loose[0].name}", where=path, fix=fix)
    return folders


def of_part(source: RegionSource, part: str) -> RegionSource:
    """A source all of whose images show one part."""
    images = tuple(dataclasses.replace(image, part=part) for image in source.images)
    return dataclasses.replace(source, images=images)


def with_wanted_parts(source: RegionSource, *, wanted: bool) -> RegionSource:
    """A source with the parts that its tables name, or without them where they are not wanted.

    Raises:
        InputError: They are wanted, and there are none.
    """
    there = any(annotation.part for image in source.images for annotation in image.annotations)
    if wanted and not there:
        raise InputError(
            "has no parts: they are read from a column 'part' of a table of boxes",
            where=source.path,
            fix="add the column, or give --part-from folder or --part NAME",
        )
    if wanted or not there:
        return source
    images = tuple(
        dataclasses.replace(
            image, annotations=tuple(dataclasses.replace(each, part=None) for each in image.annotations)
        )
        for image in source.images
    )
    return dataclasses.replace(source, images=images)
