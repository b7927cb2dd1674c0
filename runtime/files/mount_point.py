"""Whether a folder is where a file system, or a part of one, is mounted: no other folder can take its place."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["is_mount_point"]


def is_mount_point(folder: Path) -> bool:
    """Whether a folder is a mount point; also one within the same file system, as containers have them."""
    place = Path(os.path.realpath(folder))
    if os.path.ismount(place):
        return True
    mounts = (_mount_of(place), _mount_of(place.parent))
    return None not in mounts and mounts[0] != mounts[1]


def _mount_of(folder: Path) -> str | None:
    """The number of the mount that a folder is in; None where the system does not say it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            lines = Path(f"/proc/self/fdinfo/{handle}").read_text().splitlines()
        finally:
            os.close(handle)
        return next((line for line in lines if line.startswith("mnt_id:")), None)
    return None
