"""The folder in which TensorRT plans are kept between runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from mvrec_edge.runtime.files.user_cache import user_cache_path

__all__ = ["CacheFolder", "examine_cache_folder"]


@dataclass(frozen=True)
class CacheFolder:
    """Where plans go.

    Attributes:
        path: The folder; it is made when it is first needed.
        writable: Whether it can be written, or made.
        free: Free bytes on its disk; None where the system does not say.
    """

    path: str
    writable: bool
    free: int | None


def examine_cache_folder(environment: Mapping[str, str] = os.environ) -> CacheFolder:
    """Looks whether the folder can be written, without making it."""
    folder = user_cache_path(environment).absolute()
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    try:
        free = shutil.disk_usage(place).free
    except OSError:
        free = None
    return CacheFolder(str(folder), writable, free)
