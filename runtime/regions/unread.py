"""Label files of a folder that are of another format than the one that is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError, InputError, InputWarning
from mvrec_edge.runtime.regions.formats.yolo import yolo_label_files
from mvrec_edge.runtime.regions.listing import list_files
from mvrec_edge.runtime.regions.recognition import TABLES, Recognised, format_of
from mvrec_edge.runtime.regions.source import TITLES, RegionSource, named
from mvrec_edge.runtime.wording import counted

__all__ = ["losses", "unread_files"]

# The reader of these looks at every file with the suffix, and says what is wrong with those of another format.
_OWN_SUFFIX = {"labelme": ".json", "voc": ".xml"}
_MOST_NAMES = 3
_OF_TABLES = ("boxes", "mvtec-fs")


def unread_files(folder: Path, found: Recognised) -> tuple[dict[str, list[Path]], list[InputError]]:
    """The label files of a folder that are not read.

    Args:
        folder: The folder that is opened.
        found: What it is read as.

    Returns:
        The files by their format, among them tables of the same format in folders below; and the errors of files that
        cannot be read beside formats with a label file for each image, where each may be one of these.
    """
    unread: dict[str, list[Path]] = {}
    broken: list[InputError] = []
    own = _OWN_SUFFIX.get(found.format)
    read = set(found.label_files)
    for file in list_files(folder, (".json", ".xml", *TABLES)):
        if file in read or file.suffix.lower() == own:
            continue
        try:
            kind, _ = format_of(file)
        except InputError as error:
            if own is not None and file.suffix.lower() in _OWN_SUFFIX.values():
                broken.append(error)
            continue
        if kind is not None and (kind != found.format or kind in _OF_TABLES):
            unread.setdefault(kind, []).append(file)
    if found.format != "yolo" and (lines := yolo_label_files(folder)):
        unread["yolo"] = lines
    return unread, broken


def losses(
    folder: Path,
    source: RegionSource,
    unread: dict[str, list[Path]],
    open_files: Callable[[str, Sequence[Path]], RegionSource],
) -> tuple[list[InputError], list[InputWarning]]:
    """What is lost with the label files that are not read.

    Args:
        folder: The folder that is opened.
        source: What is read.
        unread: The files that are not, by their format.
        open_files: Opens files of a format; raises `InputError` where none is usable.

    Returns:
        A problem for each format that marks more on an image than what is read; a warning for each other one.
    """
    problems: list[InputError] = []
    warnings: list[InputWarning] = []
    marked = _marks(source)
    for kind, files in unread.items():
        same = kind == source.format
        what = f"the folder is read as {_read(source)}, and {TITLES[kind]} ({_places(files, folder)}) is not read"
        fix = "give each table itself" if same else f"give --format {kind} to read {TITLES[kind]}, or keep one format"
        try:
            more = [path for path, count in _marks(open_files(kind, files)).items() if count > marked[path]]
        except InputError as error:
            warnings.append(InputWarning(f"{what}: {error.what}", str(folder), fix))
            continue
        if not more:
            warnings.append(InputWarning(f"{what}: it marks nothing more", str(folder), fix))
            continue
        lost = f"what it marks on {counted(len(more), 'image')} is lost ({named(more)})"
        # Where masks are read, an image that has none is a problem of its own.
        if source.format == "folders":
            warnings.append(InputWarning(f"{what}: {lost}", str(folder), fix))
        else:
            problems.append(AnnotationError(f"{what}: {lost}", where=folder, fix=fix))
    return problems, warnings


def _read(source: RegionSource) -> str:
    """The format that is read, with a file of it."""
    title = TITLES[source.format]
    if source.label_files:
        return f"{title} ({named(source.label_files)})"
    first = next((annotation.source for image in source for annotation in image.annotations), "")
    return f"{title} ({first.rpartition('#')[0]})" if first else title


def _places(files: Sequence[Path], folder: Path) -> str:
    """A few files by their paths in the folder, so that two of one name are told apart."""
    first = ", ".join(file.relative_to(folder).as_posix() for file in files[:_MOST_NAMES])
    return first if len(files) <= _MOST_NAMES else f"{first} and {len(files) - _MOST_NAMES} more"


def _marks(source: RegionSource) -> Counter[Path]:
    """How many annotations each image has."""
    marks: Counter[Path] = Counter()
    for image in source:
        marks[image.path.resolve()] += len(image.annotations)
    return marks
