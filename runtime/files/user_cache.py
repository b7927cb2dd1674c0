"""The folder of this user for what is made on this machine and can be made again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files import writing

__all__ = ["belongs_to_user", "made_by_user", "user_cache", "user_cache_path"]

_WRITABLE_BY_OTHERS = 0o022


def user_cache_path(environment: Mapping[str, str] = os.environ) -> Path:
    """`$MVREC_EDGE_CACHE`, else `mvrec-edge` under `$XDG_CACHE_HOME`, else `~/.cache/mvrec-edge`; nothing is made."""
    if own := environment.get("MVREC_EDGE_CACHE"):
        return Path(own)
    if base := environment.get("XDG_CACHE_HOME"):
        return Path(base) / "mvrec-edge"
    home = environment.get("HOME")
    return (Path(home) if home else Path.home()) / ".cache" / "mvrec-edge"


def user_cache(*inner: str) -> Path:
    """The same folder, made where it is missing, and open to this user alone: what lies there may be executed.

    Args:
        *inner: The names of folders within, one in the other; they are made and checked as well.

    Returns:
        The innermost.

    Raises:
        OutputError: It cannot be made, or belongs to another user, or others may write there.
    """
    path = user_cache_path()
    _make_trusted(path)
    for name in inner:
        path /= name
        _make_trusted(path)
    return path


def _make_trusted(path: Path) -> None:
    with writing(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        trusted = belongs_to_user(path)
    if not trusted:
        raise OutputError(
            "is not used as this user's cache folder, since another user owns it or may write there",
            where=path,
            fix=f"chmod go-w {path}, or set MVREC_EDGE_CACHE to a folder of your own",
        )


def made_by_user(file: Path) -> bool:
    """Whether a file is of this user or the system's administrator.

    Asked of files in a folder that others cannot write: they may have put theirs there before it was closed to them.

    Raises:
        OSError: It cannot be looked at.
    """
    return file.stat().st_uid in (os.geteuid(), 0)


def belongs_to_user(folder: Path) -> bool:
    """Whether a folder is there and nobody but this user, and the system's administrator, can have put files into it.

    Raises:
        OSError: It cannot be looked at.
    """
    # An administrator who works as another user keeps that user's folder.
    return made_by_user(folder) and not folder.stat().st_mode & _WRITABLE_BY_OTHERS
