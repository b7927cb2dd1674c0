"""The image of a label file, for formats with one label file for each image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.regions.image_finder import AmbiguousNameError, FolderNames, ImageFinder
from mvrec_edge.runtime.regions.label_files import nfc
from mvrec_edge.runtime.regions.tally import WarningTally

__all__ = ["ImagesOfLabelFiles"]


class ImagesOfLabelFiles:
    """Finds the image of each label file: the one that it names, or else the one with its own name.

    Notes what may be a slip: a name that leads nowhere, a name that leads away from the image of the file's own name
    (as after a copy under another name), and an image that two label files are about.

    Args:
        image_root: The root the user gave, or None.
        tally: Where slips are noted.
    """

    def __init__(self, image_root: Path | None, tally: WarningTally) -> None:
        self._image_root = image_root
        self._tally = tally
        self._names = FolderNames()
        self._owners: dict[Path, Path] = {}

    def find(self, file: Path, name: Any, places: Sequence[Path]) -> Path:
        """The image of a label file.

        Args:
            file: The label file.
            name: What it calls its image.
            places: Folders in which the image may lie, where no root was given.

        Raises:
            AnnotationError: There is no such image, or several could be meant.
        """
        finder = ImageFinder(self._image_root, *places, names=self._names)
        try:
            image = finder.find(name, file)
        except AmbiguousNameError:
            raise
        except AnnotationError:
            stand_in = self._of_same_name(finder.roots, file)
            if stand_in is None:
                raise
            image = stand_in
            self._warn_of_lost_name(file, name, image)
        else:
            self._warn_of_other_name(file, image)
        owner = self._owners.setdefault(image, file)
        if owner != file:
            what = f"{owner.name} and {file.name} are about the same image, {image.name}"
            self._tally.add(what, file, "delete one of them, or correct the name of the image")
        return image

    def _of_same_name(self, roots: Sequence[Path], file: Path) -> Path | None:
        for root in roots:
            try:
                found = self._names.image_of_stem(root, file.stem)
            except AnnotationError as error:
                raise AnnotationError(error.what, where=file, fix=error.fix) from error
            if found is not None:
                return found
        return None

    def _warn_of_lost_name(self, file: Path, name: Any, image: Path) -> None:
        """Some programs name the image without its suffix, or not at all: that is no slip."""
        if not isinstance(name, str) or not name.strip():
            return
        named = PurePosixPath(name.replace("\\", "/").rstrip("/")).name
        if named == file.stem or (_alike(named, file.stem) and PurePosixPath(named).suffix not in IMAGE_SUFFIXES):
            return
        self._tally.add(
            "the image that it names is not there; the image of its own name is taken",
            f"{file}: {named[:100]}, {image.name}",
            "correct the name, or put the image there that was labelled",
        )

    def _warn_of_other_name(self, file: Path, image: Path) -> None:
        if _alike(image.stem, file.stem):
            return
        own = self._names.images_of_stem(image.parent, file.stem)
        if own:
            self._tally.add(
                "it names another image than the one with its own name; the named one is taken",
                f"{file}: {image.name}, {own[0].name}",
                "correct the name of the image, if the file was copied or renamed",
            )


def _alike(one: str, other: str) -> bool:
    return nfc(one).casefold() == nfc(other).casefold()
