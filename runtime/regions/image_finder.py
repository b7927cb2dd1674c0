"""The images that label files name: found where they are, however their names are spelled."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable
from pathlib import Path, PurePosixPath
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.images.image_files import is_folder, is_regular_file
from mvrec_edge.runtime.regions.label_files import nfc

__all__ = ["AmbiguousNameError", "FolderNames", "ImageFinder"]

_DRIVE = re.compile(r"[A-Za-z]:")
_SHOWN = 300
_NAMES_SHOWN = 5
_LONGEST_NAME = 4096


class AmbiguousNameError(AnnotationError):
    """A name of an image that several files could be meant by."""


class FolderNames:
    """The names in folders, each folder listed once, found whatever their case and their Unicode form."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, list[str]]] = {}
        self._stems: dict[Path, dict[str, list[str]]] = {}

    def like(self, folder: Path, name: str, kind: Callable[[Path], bool]) -> Path | None:
        """What a name in a folder means: itself, or else the only one that differs in case or Unicode form alone.

        Args:
            folder: The folder.
            name: The name, without slashes.
            kind: What it has to be, such as `is_regular_file`.

        Raises:
            AmbiguousNameError: Several names differ from it in case alone.
        """
        if kind(folder / name):
            return folder / name
        names = [entry for entry in self._listed(folder)[0].get(_folded(name), ()) if kind(folder / entry)]
        return self._only(folder, name, names, str)

    def images_of_stem(self, folder: Path, stem: str) -> list[Path]:
        """The images in a folder with this stem, whatever its case and Unicode form; sorted."""
        return sorted(
            folder / name
            for name in self._listed(folder)[1].get(_folded(stem), ())
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and is_regular_file(folder / name)
        )

    def image_of_stem(self, folder: Path, stem: str) -> Path | None:
        """The only image in a folder with this stem; None where there is none.

        Raises:
            AmbiguousNameError: There are several, and none of them alone has this very stem.
        """
        names = [path.name for path in self.images_of_stem(folder, stem)]
        return self._only(folder, stem, names, lambda name: Path(name).stem)

    def _only(self, folder: Path, wanted: str, names: list[str], part: Callable[[str], str]) -> Path | None:
        """The only one of `names`, or the only one that is nearest to what is wanted."""
        exact = [name for name in names if part(name) == wanted]
        names = exact or [name for name in names if nfc(part(name)) == nfc(wanted)] or names
        if len(names) > 1:
            shown = ", ".join(sorted(names)[:_NAMES_SHOWN])
            raise AmbiguousNameError(
                f"it is not clear which image '{wanted[:_SHOWN]}' is: {shown}",
                where=folder,
                fix="name the image in the label file as its file is named",
            )
        return folder / names[0] if names else None

    def _listed(self, folder: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        if folder not in self._names:
            names: dict[str, list[str]] = {}
            stems: dict[str, list[str]] = {}
            try:
                entries = [path.name for path in folder.iterdir()]
            except (OSError, ValueError):
                entries = []
            for entry in entries:
                names.setdefault(_folded(entry), []).append(entry)
                stems.setdefault(_folded(Path(entry).stem), []).append(entry)
            self._names[folder], self._stems[folder] = names, stems
        return self._names[folder], self._stems[folder]


class ImageFinder:
    """Finds the images that a label file names.

    A file of the very name comes first, in whichever root. Else the only one whose name differs in case or Unicode
    form alone is taken, each folder on the way likewise.

    Relative names may climb with `..`; only regular files are found. An absolute name is followed only into a root
    that the user gave; elsewhere its last part alone is looked for, so that a label file made on another machine
    works and one made to pry does not. Backslashes count as slashes.

    Args:
        image_root: The root the user gave, or None.
        roots: Where to look when none was given.
        names: What was listed already, to be shared by finders.
    """

    def __init__(self, image_root: Path | None, *roots: Path, names: FolderNames | None = None) -> None:
        self.given = image_root
        self.names = FolderNames() if names is None else names
        self._found: dict[Hashable, Path | None] = {}
        self._shortened: dict[Path, str] = {}
        self.roots = roots if image_root is None else (image_root,)
        if image_root is not None and not is_folder(image_root):
            raise InputError("the image root is not a folder", where=image_root, fix="check the path")

    def find(self, name: Any, where: object) -> Path:
        """The file of an image.

        Args:
            name: What the label file says.
            where: Where it says so, for messages.

        Raises:
            AnnotationError: The name is no text, there is no such regular file, several could be meant
                (`AmbiguousNameError`), or two absolute names lead to one file, because only their last parts are looked
                for.
        """
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            raise AnnotationError("no image is named", where=where, fix="name the image's file")
        tidy = name.replace("\\", "/")
        candidates = self._candidates(tidy)
        for root, inside, shortened in candidates:
            if is_regular_file(root / inside):
                return self._claimed(root / inside, tidy, where) if shortened else root / inside
        for root, inside, shortened in candidates:
            try:
                found = self._like(root, inside)
            except AmbiguousNameError as error:
                raise AmbiguousNameError(error.what, where=where, fix=error.fix) from error
            if found is not None:
                return self._claimed(found, tidy, where) if shortened else found
        raise self._missing(name, candidates, where)

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

    def _candidates(self, name: str) -> list[tuple[Path, str, bool]]:
        """Roots, the name within each, and whether that is only the last part of an absolute name."""
        if not name.startswith("/") and not _DRIVE.match(name):
            return [(root, name, False) for root in self.roots]
        last = name.rsplit("/", 1)[-1]
        candidates = [(root, last, True) for root in self.roots]
        if self.given is not None and not _DRIVE.match(name):
            root = Path(os.path.normpath(self.given.absolute()))
            inside = Path(os.path.normpath(name))
            if inside.is_relative_to(root):
                candidates.insert(0, (root, inside.relative_to(root).as_posix(), False))
        return candidates

    def _like(self, root: Path, name: str) -> Path | None:
        """The file that a name means below a root, however it is spelled."""
        if len(name) > _LONGEST_NAME:
            return None
        place: Path | None = root
        *folders, last = name.split("/")
        for folder in folders:
            if place is None:
                return None
            place = place / folder if folder in ("", ".", "..") else self.names.like(place, folder, is_folder)
        return None if place is None or not last else self.names.like(place, last, is_regular_file)

    def _claimed(self, found: Path, name: str, where: object) -> Path:
        """Refuses a second absolute name whose last part alone leads to a file that another one led to."""
        other = self._shortened.setdefault(found, name)
        if other != name:
            raise AnnotationError(
                f"the images '{name[:_SHOWN]}' and '{other[:_SHOWN]}' both lead to {found.name}",
                where=where,
                fix="give relative names, or the folder above with --image-root",
            )
        return found

    def _missing(self, name: str, candidates: list[tuple[Path, str, bool]], where: object) -> AnnotationError:
        places = " or ".join(str(root) for root in self.roots)
        what = f"the image '{name[:_SHOWN]}' is not in {places}"
        for root, inside, _ in candidates:
            wanted = PurePosixPath(inside[:_LONGEST_NAME])
            near = self.names.images_of_stem(root / wanted.parent, wanted.stem)
            if near:
                there = ", ".join(path.name for path in near[:_NAMES_SHOWN])
                fix = "name the file as it is, or put the image there that was labelled"
                return AnnotationError(f"{what}; there is {there}", where=where, fix=fix)
        return AnnotationError(what, where=where, fix="give the folder of the images with --image-root")


def _folded(name: str) -> str:
    """What names have in common that differ in case and Unicode form alone."""
    return nfc(nfc(name).casefold())
