"""Who may read what takes the place of something else: those who could read that, and nobody besides."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

__all__ = ["keep_permissions", "keep_permissions_within"]

_ACCESS = "system.posix_acl_access"
#: Access control lists: that of a file or folder, and that which is given to what is made in a folder.
_LISTS = (_ACCESS, "system.posix_acl_default")
_GROUP = 0o070


def keep_permissions(old: Path, new: Path) -> None:
    """Gives a file or folder the owner, the group, the mode and the access control lists of the one that it replaces.

    The owner and the group stay as they are where the system does not let this user give them away. A new group may
    then do what everybody may, since its members may have been anybody before.

    Args:
        old: What is replaced; a link is followed. Nothing is done where there is nothing, or no file and no folder.
        new: What replaces it.

    Raises:
        OSError: The new one cannot be closed to those to whom the old one is closed.
    """
    try:
        kept = old.stat()
    except FileNotFoundError:
        return
    if stat.S_ISREG(kept.st_mode) or stat.S_ISDIR(kept.st_mode):
        _give(new, kept, old)


def keep_permissions_within(old: Path, new: Path) -> None:
    """Does the same for a folder and the files in it; a file that was not in the old folder gets what all of those had.

    Raises:
        OSError: As `keep_permissions`.
    """
    if not old.exists():
        return
    there = {item.name: item.stat() for item in old.iterdir() if item.is_file() and not item.is_symlink()}
    narrowest = min(there.values(), key=lambda each: stat.S_IMODE(each.st_mode).bit_count(), default=None)
    shared = stat.S_IMODE(narrowest.st_mode) if narrowest is not None else 0
    for each in there.values():
        shared &= each.st_mode
    for item in new.iterdir():
        if not item.is_file():
            continue
        if item.name in there:
            _give(item, there[item.name], old / item.name)
        elif narrowest is not None:
            _give(item, narrowest, None, mode=shared)
    # Last: until then nobody else can open what is in the new folder.
    keep_permissions(old, new)


def _give(new: Path, kept: os.stat_result, old: Path | None, *, mode: int | None = None) -> None:
    """Gives `new` an owner, a group and a mode; and the access control lists of `old`, or none without it."""
    mode = stat.S_IMODE(kept.st_mode if mode is None else mode)
    found = new.stat()
    if found.st_gid != kept.st_gid:
        with contextlib.suppress(OSError):
            os.chown(new, -1, kept.st_gid)
    if found.st_uid != kept.st_uid:
        with contextlib.suppress(OSError):
            os.chown(new, kept.st_uid, -1)
    if new.stat().st_gid != kept.st_gid or not _lists_kept(old, new):
        mode = (mode & ~_GROUP) | ((mode & 0o007) << 3)
    if stat.S_IMODE(new.stat().st_mode) != mode:
        new.chmod(mode)


def _lists_kept(old: Path | None, new: Path) -> bool:
    """Copies the access control lists; False where there is one that cannot be copied.

    Beside such a list the bits of the group say the most that it gives anybody, and not what the group may.
    """
    kept = True
    for name in _LISTS:
        value = None
        with contextlib.suppress(OSError):
            value = None if old is None else os.getxattr(old, name)
        try:
            if value is not None:
                os.setxattr(new, name, value)
            else:
                os.removexattr(new, name)
        except OSError:
            # Where there was none, there was none to remove.
            kept = kept and value is None
    return kept
