"""The folder of this user for what is made on this machine and can be made again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mvrec_edge.runtime.files import writing

__all__ = ["user_cache", "user_cache_path"]


def user_cache_path(environment: Mapping[str, str] = os.environ) -> Path:
    """`$MVREC_EDGE_CACHE`, else `mvrec-edge` under `$XDG_CACHE_HOME`, else `~/.cache/mvrec-edge`; nothing is made."""
    if own := environment.get("MVREC_EDGE_CACHE"):
        return Path(own)
    if base := environment.get("XDG_CACHE_HOME"):
        return Path(base) / "mvrec-edge"
    home = environment.get("HOME")
    return (Path(home) if home else Path.home()) / ".cache" / "mvrec-edge"


def user_cache() -> Path:
    """The same folder, made where it is missing, and open to this user alone: what lies there may be executed.

    Raises:
        OutputError: It cannot be made.
    """
    path = user_cache_path()
    with writing(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
