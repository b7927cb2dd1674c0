"""Writing files whole or not at all, and hashing them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mvrec_edge.runtime.errors import OutputError

__all__ = ["atomic_write", "sha256_bytes", "sha256_file", "sync_folder", "writing"]

_CHUNK = 1 << 22


def sha256_bytes(*parts: bytes) -> str:
    """SHA-256 of the parts one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes a rename within `folder` survive a power cut."""
    # Windows cannot open a folder, and needs no such call.
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the operating system's refusal to write `path` into an `OutputError`.

    Raises:
        BrokenPipeError: `path` is a pipe whose reader has gone, which is no refusal.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.parent.exists():
            raise OutputError(
                f"cannot be written: the folder {path.parent} does not exist", where=path, fix="make the folder first"
            ) from error
        reason = error.strerror or str(error)
        raise OutputError(
            f"cannot be written: {reason}",
            where=path,
            fix="check the folder, its permissions and the free space",
        ) from error


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that takes the place of `path` when the block ends, and vanishes when it fails.

    The bytes go to a temporary file in the same folder, which is synced and renamed, so that a reader sees
    the old file or the new one and never a part.

    Raises:
        OutputError: The file cannot be written.
    """
    with writing(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                # mkstemp makes a private file; a result is as readable as any other file the user makes.
                os.fchmod(stream.fileno(), 0o666 & ~_umask())
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
