"""The files of a folder: links to folders followed, our own output left out, and what could not be looked at named."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from mvrec_edge.runtime.errors import InputError, InputWarning
from mvrec_edge.runtime.images.image_files import is_folder, is_regular_file
from mvrec_edge.runtime.regions.own_output import own_output

__all__ = ["Look", "is_picture_name", "list_files", "looking"]

_HIDDEN = "."


@dataclass
class Look:
    """What a look at the folders of one source is to leave out, and what it found besides files.

    Attributes:
        leave_out: Files that this run writes, and folders into which its pictures go, resolved.
        own: Files that were left out because we wrote them, and what each is.
        problems: What could not be looked at, by its path.
        warnings: Links that were not followed, by their path.
    """

    leave_out: frozenset[Path] = frozenset()
    own: dict[Path, str] = field(default_factory=dict)
    problems: dict[Path, InputError] = field(default_factory=dict)
    warnings: dict[Path, InputWarning] = field(default_factory=dict)
    _foreign: set[Path] = field(default_factory=set)

    def leaves_out(self, path: Path) -> bool:
        """Whether a file is one that this run writes, or that an earlier one wrote."""
        if path in self.own:
            return True
        if path in self._foreign:
            return False
        if self.leave_out:
            whole = path.resolve()
            if whole in self.leave_out or (whole.parent in self.leave_out and is_picture_name(path)):
                self.own[path] = "written by this run"
                return True
        kind = own_output(path)
        if kind is None:
            self._foreign.add(path)
            return False
        self.own[path] = kind
        return True


#: The look that is under way. Each reader lists folders through `list_files`; a parameter that each hands on would be
#: forgotten by the next one.
_look: ContextVar[Look | None] = ContextVar("look", default=None)


@contextlib.contextmanager
def looking(leave_out: Iterable[Path] = ()) -> Iterator[Look]:
    """While this holds, `list_files` leaves files out and notes what is odd in the look that is given.

    Args:
        leave_out: Files that this run writes, and folders into which its pictures go.
    """
    look = Look(frozenset(path.resolve() for path in leave_out))
    token = _look.set(look)
    try:
        yield look
    finally:
        _look.reset(token)


def is_picture_name(path: Path) -> bool:
    """Whether a picture of results may bear this name: they are named after their images, as JPEG files."""
    return path.suffix == ".jpg"


def list_files(folder: Path, suffixes: Sequence[str], *, recursive: bool = True) -> list[Path]:
    """Regular files with one of the suffixes, whatever their case, sorted by path.

    Hidden files and folders, whose names begin with a dot, are left out, and so is whatever mvrec-edge wrote itself.
    Links to folders are followed; each folder is read once, so that a link to a folder above ends nowhere.
    """
    look = _look.get() or Look()
    found = [
        path
        for path in _walk(folder, look, recursive, suffixes)
        if path.suffix.lower() in suffixes and is_regular_file(path) and not look.leaves_out(path)
    ]
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def _walk(root: Path, look: Look, recursive: bool, suffixes: Sequence[str]) -> Iterator[Path]:
    """All files below a folder; what lies in it comes before what links lead to."""
    whole = root.resolve()
    above = {_identity(place) for place in (whole, *whole.parents) if is_folder(place)}
    seen: set[tuple[int, int]] = set()
    folders, links = [root], list[Path]()
    while folders or links:
        linked = not folders
        place = folders.pop() if folders else links.pop(0)
        try:
            identity = _identity(place)
            if linked and (identity in above or identity in seen):
                look.warnings[place] = _not_followed(place, loop=identity in above)
                continue
            if identity in seen:
                continue
            seen.add(identity)
            with os.scandir(place) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            look.problems[place] = InputError(
                f"the folder cannot be read: {error.strerror or error}", where=place, fix="check its permissions"
            )
            continue
        for entry in entries:
            path = place / entry.name
            if entry.name.startswith(_HIDDEN):
                continue
            if not is_folder(path):
                if not path.exists() and (not path.suffix or path.suffix.lower() in suffixes):
                    look.problems[path] = InputError(
                        "the link leads nowhere", where=path, fix="bring back what it led to, or remove the link"
                    )
                yield path
            elif recursive:
                (links if entry.is_symlink() else folders).append(path)


def _identity(place: Path) -> tuple[int, int]:
    about = place.stat()
    return about.st_dev, about.st_ino


def _not_followed(link: Path, *, loop: bool) -> InputWarning:
    leads = "to a folder that it lies in" if loop else "to a folder that is read already"
    return InputWarning(f"the link is not followed: it leads {leads}", str(link), "remove the link")
