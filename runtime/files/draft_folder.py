"""A folder that is made beside its place and takes it whole, whatever was there before."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mvrec_edge.runtime.files.partial_file import partial_name, partial_prefix
from mvrec_edge.runtime.files.permissions import keep_permissions_within
from mvrec_edge.runtime.files.writing import confirm_rename, make_folder, sync_file, sync_folder, writing

__all__ = ["DraftFolder", "recover_folder", "work_folder"]

_HERE = -100
_EXCHANGE = 2
#: What a file system or kernel answers that cannot exchange two names in one step.
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


class DraftFolder:
    """A folder in the making, beside its place under a hidden name.

    `put_in_place` exchanges the two names in one step where the system can do that, so that the old folder or the new
    one is there at every moment. Where it cannot, there is a moment between two renames; `recover_folder`, which
    everyone calls before the place is read or written, then puts the old one back. A draft is locked while its process
    lives: the next draft for the same place removes those that nobody holds any more.

    Args:
        place: The folder to be.

    Attributes:
        path: Where the draft lies.

    Raises:
        OutputError: It cannot be made.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        with writing(place):
            make_folder(place.parent)
            _remove_abandoned(self.place)
            self.path, self._lock = _locked_folder(place)

    def put_in_place(self) -> None:
        """Writes everything through to the disk and gives the draft its place; what was there before is removed.

        Who may read the new folder and its files is as it was.

        Raises:
            OutputError: It cannot be moved; the draft and what was there stay where they are.
        """
        with writing(self.place):
            keep_permissions_within(self.place, self.path)
            for file in self.path.iterdir():
                sync_file(file)
            sync_folder(self.path)
            if not self.place.exists():
                self.path.rename(self.place)
            elif not _exchange(self.path, self.place):
                aside = _aside(self.place)
                shutil.rmtree(aside, ignore_errors=True)
                self.place.rename(aside)
                self.path.rename(self.place)
                sync_folder(self.place.parent)
                shutil.rmtree(aside, ignore_errors=True)
        confirm_rename(self.place)

    def close(self) -> None:
        """Removes what lies under the draft's name: the draft, or the folder that it replaced."""
        shutil.rmtree(self.path, ignore_errors=True)
        # What refused once; the next draft for the place removes what does so for ever.
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


@contextlib.contextmanager
def work_folder(place: Path) -> Iterator[Path]:
    """A folder beside a place for what is made for it, locked and removed at the end; also those of killed processes.

    Args:
        place: What the work is for, under the same name each time; nothing is put there.

    Raises:
        OutputError: It cannot be made.
    """
    draft = DraftFolder(place)
    try:
        yield draft.path
    finally:
        draft.close()


def _remove_abandoned(place: Path) -> None:
    for folder in place.parent.iterdir():
        if not folder.name.startswith(partial_prefix(place)) or folder.suffix != ".partial":
            continue
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def recover_folder(place: Path) -> None:
    """Puts a folder back that a killed process had moved aside to make room for a new one; does nothing otherwise."""
    # A folder without a name of its own, such as `.`, is there, since somebody stands in it.
    if place.name in ("", ".."):
        return
    aside = _aside(place)
    if aside.is_dir() and not place.exists():
        with contextlib.suppress(OSError):
            aside.rename(place)


def _aside(place: Path) -> Path:
    return place.with_name(f".{place.name}.replaced")


def _locked_folder(place: Path) -> tuple[Path, int]:
    while True:
        folder = partial_name(place)
        # What replaces a folder is closed to others until it is known who may read it.
        folder.mkdir(0o700 if place.exists() else 0o777)
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            # A file system without locks has nobody who would take the folder for abandoned either.
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            # Another process may have found it before it was locked.
            if folder.exists():
                return folder, handle
            os.close(handle)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step; False where the system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(other))
