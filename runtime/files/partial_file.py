"""The file in which a new content is made before it takes its place: one that a killed process left is used again."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path

__all__ = ["open_partial", "partial_name", "partial_prefix", "remove_abandoned", "try_lock"]

#: Characters of a file's name in that of its temporary file; a name of 255 bytes is the longest that file systems take.
_LONGEST = 40
_MOST = 8
_NOT_OURS = (errno.ELOOP, errno.EACCES, errno.EISDIR, errno.ENXIO, errno.EPERM)


def partial_name(path: Path) -> Path:
    """A hidden name beside `path`, which no other process has, for what will take its place."""
    return path.with_name(f"{partial_prefix(path)}{os.urandom(8).hex()}.partial")


def partial_prefix(path: Path) -> str:
    """How the names that are given for this path begin."""
    return f".{path.name[:_LONGEST]}."


def open_partial(path: Path, flags: int) -> tuple[Path, int]:
    """Makes an empty file beside `path`, locked while it is open, that nobody else writes to.

    Its name is the same each time, so that what a killed process left is used again and no folder has to be searched.
    Where a living process holds it, there is another one.

    Args:
        path: What the file will take the place of.
        flags: How it is opened, `O_WRONLY` or `O_RDWR`, with `O_APPEND` or without.

    Returns:
        Its name and its descriptor.

    Raises:
        OSError: It cannot be made.
    """
    flags |= os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    for number in range(1, _MOST + 1):
        name = path.with_name(f"{partial_prefix(path)}{number}.partial")
        # As readable as any other file that the user makes, which `tempfile` would not do.
        found, made = _opened(name, flags)
        if found is None:
            continue
        handle = found
        try:
            if _is_ours(handle, name, made=made):
                if not made:
                    os.ftruncate(handle, 0)
                return name, handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    name = partial_name(path)
    return name, os.open(name, flags | os.O_EXCL, 0o666)


def remove_abandoned(path: Path) -> None:
    """Removes what killed processes have left of what was to take the place of `path`, where it is not used again."""
    for number in range(1, _MOST + 1):
        name = path.with_name(f"{partial_prefix(path)}{number}.partial")
        try:
            handle = os.open(name, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            # In most cases there is none.
            return
        with contextlib.suppress(OSError):
            if _is_ours(handle, name, made=False):
                name.unlink()
        os.close(handle)


def _opened(name: Path, flags: int) -> tuple[int | None, bool]:
    """A file by its name, and whether it was made now; None where it cannot be ours."""
    try:
        return os.open(name, flags | os.O_EXCL, 0o666), True
    except FileExistsError:
        pass
    try:
        return os.open(name, flags | os.O_NONBLOCK, 0o666), False
    except OSError as error:
        if error.errno in _NOT_OURS:
            return None, False
        raise


def _is_ours(handle: int, name: Path, *, made: bool) -> bool:
    found = os.fstat(handle)
    # Whoever may write into a file that another user has made, or that has a second name, could change it later.
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
        return False
    free = try_lock(handle)
    if free is False or (free is None and not made):
        return False
    try:
        # Whoever held it may have given it its place since it was opened here.
        return os.path.samestat(found, name.lstat())
    except FileNotFoundError:
        return False


def try_lock(handle: int) -> bool | None:
    """Locks an open file without waiting.

    Returns:
        False where another process holds it; None where the file system has no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True
