"""Label files from outside: read whole, bounded, parsed as data only; and the images they name."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.images.image_files import is_folder, is_regular_file, read_bytes

__all__ = ["ImageFinder", "clean_label", "list_files", "load_json", "parse_json", "read_table", "read_text"]

MAX_LABEL = 256
# The outline of one instance as text; a million points would be about this long.
_MAX_FIELD = 1 << 25
_field_limit = threading.Lock()
_DRIVE = re.compile(r"[A-Za-z]:")


def read_text(path: Path) -> str:
    """Reads a label file as UTF-8; a byte order mark may lead.

    Raises:
        AnnotationError: The file cannot be read, is larger than 1 GiB, or is not UTF-8.
    """
    data = read_bytes(path, error=AnnotationError, kind="an annotation")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError("is not UTF-8 text", where=path, fix="save it as UTF-8") from error


def parse_json(text: str, where: object) -> Any:
    """Parses JSON.

    Raises:
        AnnotationError: It is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        detail = f": {error}" if isinstance(error, json.JSONDecodeError) else ""
        raise AnnotationError(f"is not valid JSON{detail}", where=where, fix="export it again") from error


def load_json(path: Path) -> Any:
    """Reads and parses a JSON file; raises `AnnotationError` as `read_text` and `parse_json` do."""
    return parse_json(read_text(path), path)


def read_table(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Reads a CSV table.

    Args:
        path: The file.

    Returns:
        The header, stripped, and the rows that are not empty, each with its number from 0 among them.

    Raises:
        InputError: The file cannot be read or is no CSV table.
    """
    text = read_text(path)
    # The module's limit holds for the whole process: raised for this table only, and put back.
    with _field_limit:
        before = csv.field_size_limit(_MAX_FIELD)
        try:
            rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
        except csv.Error as error:
            raise InputError(f"is not a CSV table: {error}", where=path, fix="export it again") from error
        finally:
            csv.field_size_limit(before)
    if not rows:
        raise InputError("the table is empty", where=path, fix="export it again")
    return [name.strip() for name in rows[0]], enumerate(rows[1:])


def clean_label(value: Any, where: str) -> str | None:
    """A class name as a label file gives it: a text or a whole number; blank or null means unknown.

    Raises:
        AnnotationError: It is something else, or longer than 256 characters.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise AnnotationError("the label is not a text", where=where, fix="give the class as a text")
    # A number of more than 4,300 digits would refuse to become a text.
    text = "" if isinstance(value, int) and value.bit_length() > 512 else str(value).strip()
    if (isinstance(value, int) and not text) or len(text) > MAX_LABEL:
        raise AnnotationError(
            f"the label is longer than {MAX_LABEL} characters", where=where, fix="give a shorter class name"
        )
    return text or None


def list_files(folder: Path, suffixes: Sequence[str], *, recursive: bool = True) -> list[Path]:
    """Regular files with one of the suffixes, whatever their case, sorted by path.

    Hidden files and folders, whose names begin with a dot, are left out, and links to folders are not followed.
    """
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            if not name.startswith(".") and path.suffix.lower() in suffixes and is_regular_file(path):
                found.append(path)
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


class ImageFinder:
    """Finds the images that a label file names.

    Relative names may climb with `..`; only regular files are found. An absolute name is followed only into a root
    that the user gave; elsewhere its last part alone is looked for, so that a label file made on another machine
    works and one made to pry does not. Backslashes count as slashes.

    Args:
        image_root: The root the user gave, or None.
        roots: Where to look when none was given.
    """

    def __init__(self, image_root: Path | None, *roots: Path) -> None:
        self.given = image_root
        self._found: dict[Hashable, Path | None] = {}
        self.roots = roots if image_root is None else (image_root,)
        if image_root is not None and not is_folder(image_root):
            raise InputError("the image root is not a folder", where=image_root, fix="check the path")

    def find(self, name: Any, where: object) -> Path:
        """The file of an image.

        Args:
            name: What the label file says.
            where: Where it says so, for messages.

        Raises:
            AnnotationError: The name is no text, or there is no such regular file.
        """
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            raise AnnotationError("no image is named", where=where, fix="name the image's file")
        tidy = name.replace("\\", "/")
        for candidate in self._candidates(tidy):
            if is_regular_file(candidate):
                return candidate
        places = " or ".join(str(root) for root in self.roots)
        raise AnnotationError(
            f"the image '{name[:300]}' is not in {places}",
            where=where,
            fix="give the folder of the images with --image-root",
        )

    def find_once(
        self, key: Hashable, name: Any, where: object, problem: Callable[[AnnotationError], None]
    ) -> Path | None:
        """The file of an image that several entries name, looked for once.

        Args:
            key: What the entries have in common.
            name: What the label file says.
            where: Where it says so, for messages.
            problem: Called once where it is not found.

        Returns:
            The file; None where it is not found.
        """
        if key not in self._found:
            try:
                self._found[key] = self.find(name, where)
            except AnnotationError as error:
                self._found[key] = None
                problem(error)
        return self._found[key]

    def _candidates(self, name: str) -> list[Path]:
        if not name.startswith("/") and not _DRIVE.match(name):
            return [root / name for root in self.roots]
        candidates = [root / name.rsplit("/", 1)[-1] for root in self.roots]
        if self.given is not None and not _DRIVE.match(name):
            inside = Path(os.path.normpath(name))
            if inside.is_relative_to(Path(os.path.normpath(self.given.absolute()))):
                candidates.insert(0, inside)
        return candidates

    @staticmethod
    def find_stem(folder: Path, stem: str) -> Path | None:
        """The first image in `folder` with this stem, whatever its suffix."""
        for suffix in IMAGE_SUFFIXES:
            for spelled in (suffix, suffix.upper()):
                if is_regular_file(folder / (stem + spelled)):
                    return folder / (stem + spelled)
        return None
