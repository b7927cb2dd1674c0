"""Files opened for reading where nothing can hang: a pipe or a device is refused, and what is read has a bound."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["NotRegularError", "open_regular", "read_bounded", "what_is_there"]


class NotRegularError(OSError):
    """What is there is no regular file; `strerror` says what it is."""


def what_is_there(mode: int) -> str:
    """What something is that is no regular file, for a message; `mode` as `os.stat` gives it."""
    return "is a folder" if stat.S_ISDIR(mode) else "is not a regular file"


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Opens a regular file for reading.

    Raises:
        NotRegularError: It is a folder, a pipe, a socket or a device.
        OSError: It cannot be opened.
    """
    # Asked first, since opening alone makes some devices do something; and again of what was opened, since another file
    # may have taken its place. Without O_NONBLOCK a pipe would then wait for ever for someone who writes.
    _check_regular(path.stat().st_mode, path)
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as stream:
        _check_regular(os.fstat(handle).st_mode, path)
        yield stream


def read_bounded(path: Path, most: int) -> bytes:
    """Reads a whole regular file.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        OSError: As for `open_regular`, or it is larger.
    """
    with open_regular(path) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"is larger than {most:,} bytes", str(path))
    return data


def _check_regular(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        raise NotRegularError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, what_is_there(mode), str(path))
