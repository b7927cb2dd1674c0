"""One writer of a file at a time: a lock beside it that ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mvrec_edge.runtime.errors import LockedError
from mvrec_edge.runtime.files import writing
from mvrec_edge.runtime.files.partial_file import try_lock

__all__ = ["claimed", "locked"]

#: Characters of a file's name in that of its lock; a name of 255 bytes is the longest that file systems take.
_LONGEST = 60


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Keeps others that ask the same away from a file while the block runs; readers are not held up.

    The lock is on a small hidden file beside, `.NAME.lock`, which stays: a rename would carry a lock on the file itself
    away, and removing a lock file lets two in at once. The system frees the lock when a process is killed.

    Args:
        path: The file; it need not exist.
        waiting: Called once where another process holds the lock.

    Raises:
        OutputError: The lock file cannot be made.
    """
    beside = path.with_name(f".{path.name}.lock")
    with writing(beside):
        handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with writing(beside):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keeps a place for what the block writes there at its end; others that claim it meanwhile are refused.

    The lock is on a small hidden file beside, `.NAME.claim`, which is removed at the end; one of a killed process is
    taken over. What exists and is neither a file nor a folder, such as a pipe, is not claimed.

    Args:
        path: The file or folder that will be written. A link is followed.

    Raises:
        LockedError: Another process has claimed it.
        OutputError: The lock file cannot be made.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        yield
        return
    place = Path(os.path.realpath(path))
    beside = place.with_name(f".{place.name[:_LONGEST]}.claim")
    try:
        handle: int | None = _claim(beside, path)
    except PermissionError:
        # Only what is in a folder that is claimed may be writable; else whoever writes says what is wrong.
        handle = None
    except OSError as error:
        with writing(path):
            raise error
    try:
        yield
    finally:
        if handle is not None:
            # Still locked: whoever opened the file before finds that it has no name any more, and makes another.
            with contextlib.suppress(OSError):
                beside.unlink()
            os.close(handle)


def _claim(beside: Path, path: Path) -> int:
    while True:
        handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if try_lock(handle) is False:
            os.close(handle)
            raise LockedError(path)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), beside.stat()):
                return handle
        os.close(handle)
