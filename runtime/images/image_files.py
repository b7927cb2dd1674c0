"""Files from outside into memory, with a bound on their size."""

from __future__ import annotations

import errno
from pathlib import Path

from mvrec_edge.runtime.errors import ImageError, InputError
from mvrec_edge.runtime.files.regular_files import NotRegularError, open_regular, what_is_there

__all__ = ["MAX_FILE_BYTES", "is_folder", "is_regular_file", "read_bytes", "why_no_file"]

MAX_FILE_BYTES = 1 << 30
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


def is_regular_file(path: Path) -> bool:
    """Whether `path` leads to a regular file; False for anything that cannot even be asked about."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        # A name that is too long, or holds a NUL: it came from an annotation file.
        return False


def is_folder(path: Path) -> bool:
    """Whether `path` leads to a folder; False for anything that cannot even be asked about."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def why_no_file(path: Path, missing: str = "there is no such file") -> str:
    """Why `is_regular_file` is False of a path, for a message: nothing is there, or something that is not a file.

    Args:
        path: The path.
        missing: What to say where nothing is there.
    """
    try:
        return what_is_there(path.stat().st_mode)
    except OSError as reason:
        return missing if reason.errno in _NOT_THERE else _unreadable(reason)
    except ValueError:
        # A NUL in the name.
        return missing


def _unreadable(reason: OSError | ValueError) -> str:
    return f"cannot be read: {getattr(reason, 'strerror', None) or reason}"


def read_bytes(
    path: Path, *, error: type[InputError] = ImageError, limit: int = MAX_FILE_BYTES, kind: str = "an image"
) -> bytes:
    """Reads a whole regular file.

    Args:
        path: The file; a link to one will do, a folder, pipe or device will not.
        error: What to raise.
        limit: Most bytes that are read.
        kind: What the file should have been, for messages.

    Returns:
        The content, at least one byte.

    Raises:
        InputError: Of the class `error`: the file is missing, not a regular file, not readable, empty, or
            larger than `limit`.
    """
    try:
        with open_regular(path) as stream:
            data = stream.read(limit + 1)
    except NotRegularError as reason:
        raise error(str(reason.strerror), where=path, fix=f"give the path of {kind} file") from reason
    except FileNotFoundError as reason:
        raise error("there is no such file", where=path, fix="check the path") from reason
    except (OSError, ValueError) as reason:
        raise error(_unreadable(reason), where=path, fix="check the path and its permissions") from reason
    if not data:
        raise error("the file is empty", where=path, fix="copy or save it again")
    if len(data) > limit:
        raise error(f"the file is larger than {limit} bytes", where=path, fix="split it, or save it in a smaller form")
    return data
