"""One change of a file at a time: a lock beside it that ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mvrec_edge.runtime.files import writing

__all__ = ["locked"]


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
