"""A file that grows with a run: for one process alone, in whole pieces, and on the disk soon after each."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from mvrec_edge.runtime.errors import LockedError
from mvrec_edge.runtime.files.partial_file import open_partial, remove_abandoned, try_lock
from mvrec_edge.runtime.files.writing import confirm_rename, confirming, make_folder, sync_folder, writing

__all__ = ["SYNC_SECONDS", "GrowingFile"]

#: What was added is on the disk when the first piece after so many seconds is added; the first piece is at once.
SYNC_SECONDS = 5.0

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class GrowingFile:
    """A file that one process adds to; it is made where it is missing, with its folders.

    The lock lies on the file itself and not on one beside it: so it holds for every name that the file has, and where
    its folder cannot be written. It ends with the process. On a file system without locks, and for what is no regular
    file, such as a pipe or `/dev/null`, there is none.

    Args:
        path: The file.
        clock: Seconds that only grow.

    Attributes:
        existed: Whether something was there before.
        lasting: Whether it is a regular file, which keeps what is written.

    Raises:
        LockedError: Another process holds the file, which stays as it is.
        OutputError: It cannot be opened for writing.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._synced = -float("inf")
        self._beginning: bytes | None = None
        with writing(path):
            make_folder(path.parent)
            # A link to a file stays one when the file is replaced. One to a pipe, as /dev/stdout may be, leads nowhere.
            link = path.is_file() or not path.exists()
            self._place = Path(os.path.realpath(path)) if link else path
            remove_abandoned(self._place)
            self._handle, self.existed = self._opened()
            self.lasting = stat.S_ISREG(os.fstat(self._handle).st_mode)

    def begin(self, beginning: bytes = b"") -> None:
        """Has the first piece, or the end, replace what is there; until then and after a failure it stays.

        Args:
            beginning: What the file begins with.
        """
        self._beginning = beginning

    def add(self, piece: bytes) -> None:
        """Adds a piece, all of it or nothing.

        Raises:
            OutputError: It cannot be written.
            BrokenPipeError: The reader of a pipe has gone.
        """
        if self._beginning is not None:
            piece, self._beginning = self._beginning + piece, None
            if self.existed and self.lasting and os.access(self._place.parent, os.W_OK):
                self.replace([piece])
                return
            self.cut(0)
        with writing(self.path):
            size = os.fstat(self._handle).st_size
            try:
                _write(self._handle, piece)
            except OSError:
                # What a full disk took of it.
                if self.lasting:
                    with contextlib.suppress(OSError):
                        os.ftruncate(self._handle, size)
                raise
        if self._clock() - self._synced >= SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Makes what was added survive a power cut.

        Raises:
            OutputError: The system cannot say so; the file holds what was added.
        """
        # A pipe keeps nothing.
        if not self.lasting:
            return
        with confirming(self.path):
            os.fsync(self._handle)
            sync_folder(self._place.parent)
        self._synced = self._clock()

    def cut(self, size: int) -> None:
        """Leaves the first `size` bytes; see `sync` for what is raised."""
        with writing(self.path):
            if self.lasting:
                os.ftruncate(self._handle, size)

    def replace(self, pieces: Iterable[bytes]) -> None:
        """Gives the file another content, whole or not at all, and goes on at its end.

        Raises:
            OutputError: It cannot be written, and stays as it was; or it was, and a power cut may undo it.
        """
        if not self.lasting:
            for piece in pieces:
                self.add(piece)
            return
        with writing(self.path):
            # It is locked before it has the name: nobody else may hold the file at any moment.
            temporary, handle = open_partial(self._place, os.O_WRONLY | os.O_APPEND)
            try:
                for piece in pieces:
                    _write(handle, piece)
                os.fsync(handle)
                temporary.replace(self._place)
            except BaseException:
                os.close(handle)
                temporary.unlink(missing_ok=True)
                raise
        os.close(self._handle)
        self._handle = handle
        self._synced = self._clock()
        confirm_rename(self._place)

    def close(self) -> None:
        """Ends the file; see `sync` for what is raised."""
        try:
            if self._beginning is not None:
                self.add(b"")
            self.sync()
        finally:
            os.close(self._handle)

    def abandon(self) -> None:
        """Ends the file after a failure; where this run made it and added nothing, it is removed."""
        self._beginning = None
        with contextlib.suppress(OSError):
            if self.lasting and not self.existed and not os.fstat(self._handle).st_size:
                self._place.unlink(missing_ok=True)
        self.close()

    def _opened(self) -> tuple[int, bool]:
        while True:
            try:
                handle, existed = os.open(self._place, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666), False
            except FileExistsError:
                existed = True
                try:
                    handle = os.open(self._place, _FLAGS)
                except FileNotFoundError:
                    # Removed meanwhile.
                    continue
            try:
                if self._is_ours(handle):
                    return handle, existed
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    def _is_ours(self, handle: int) -> bool:
        """Locks an open file; False where another one has its name meanwhile."""
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return True
        if try_lock(handle) is False:
            raise LockedError(self.path)
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(found, self._place.stat())
        return False


def _write(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
