"""Writing files whole or not at all, and hashing them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files.partial_file import open_partial
from mvrec_edge.runtime.files.permissions import keep_permissions
from mvrec_edge.runtime.files.regular_files import open_regular

__all__ = [
    "Buffer",
    "atomic_write",
    "confirm_rename",
    "confirming",
    "make_folder",
    "sha256_bytes",
    "sha256_file",
    "sync_file",
    "sync_folder",
    "writing",
]

#: What is hashed: bytes, or what lends its own without a copy.
Buffer: TypeAlias = bytes | bytearray | memoryview

_CHUNK = 1 << 22


def sha256_bytes(*parts: Buffer) -> str:
    """SHA-256 of the parts one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a regular file in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sync_file(path: Path) -> None:
    """Makes the content of a file survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Makes a rename within `folder` survive a power cut."""
    # Windows cannot open a folder, and needs no such call.
    if os.name == "posix":
        sync_file(folder)


def make_folder(folder: Path) -> None:
    """Makes a folder, with those above it that are missing, so that it survives a power cut.

    Raises:
        OSError: It cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync_folder(each.parent)


def confirm_rename(path: Path) -> None:
    """Makes the rename that gave `path` its content survive a power cut.

    Raises:
        OutputError: The system cannot say so; the new content is there.
    """
    with confirming(path):
        sync_folder(path.parent)


@contextlib.contextmanager
def confirming(path: Path) -> Iterator[None]:
    """Turns the operating system's refusal to sync what was written to `path` into an `OutputError` that says so."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"was written, but the system could not confirm it, so a power cut may undo it: {error.strerror or error}",
            where=path,
            fix="check the disk, and write it again",
        ) from error


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
    the old file or the new one and never a part. Who may read it is as it was, see `keep_permissions`.

    Raises:
        OutputError: The file cannot be written; or it was, and a power cut may undo it, which the error says.
    """
    with writing(path):
        temporary, handle = open_partial(path, os.O_RDWR)
        try:
            with os.fdopen(handle, "wb") as stream:
                # Before there is anything to read in it.
                keep_permissions(path, temporary)
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                # Still locked: the name is free for others only when the content has its place.
                temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    confirm_rename(path)
