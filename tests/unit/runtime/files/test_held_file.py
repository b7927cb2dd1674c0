"""A file that is held: what was hashed is what is there, or it is said."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mvrec_edge.runtime.errors import IntegrityError
from mvrec_edge.runtime.files import sha256_bytes
from mvrec_edge.runtime.files.held_file import HeldFile

_BYTES = b"0123456789"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(_BYTES)
    return path


@pytest.fixture
def held(path: Path) -> Iterator[HeldFile]:
    file = HeldFile(path)
    file.settle()
    file.sha256 = file.digest()
    yield file
    file.close()


def test_the_hash_is_that_of_the_bytes(held: HeldFile) -> None:
    assert held.sha256 == sha256_bytes(_BYTES)
    held.check()
    held.check_place()


def _overwritten(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.write(b"X")


def _overwritten_at_the_old_time(path: Path) -> None:
    about = path.stat()
    _overwritten(path)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def _written_to_as_it_was(path: Path) -> None:
    """Other bytes were there meanwhile, perhaps."""
    with path.open("r+b") as stream:
        stream.write(_BYTES)


@pytest.mark.parametrize(
    "change",
    [
        _overwritten,
        _overwritten_at_the_old_time,
        _written_to_as_it_was,
        lambda path: os.truncate(path, 3),
        lambda path: os.truncate(path, 30),
        lambda path: path.write_bytes(b""),
    ],
)
def test_a_file_that_was_written_to_is_told(held: HeldFile, path: Path, change: Callable[[Path], object]) -> None:
    change(path)
    # Each time: who catches the first error and goes on would compute from other bytes.
    for _ in range(3):
        with pytest.raises(
            IntegrityError, match=r"weights: was changed or exchanged while .*replace a bundle by renaming"
        ):
            held.check()


def _replaced(path: Path) -> None:
    path.with_name("new").write_bytes(b"other")
    path.with_name("new").replace(path)


def _away_and_back(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.write_bytes(b"other")
    path.with_name("aside").replace(path)


def _linked(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.symlink_to("aside")


@pytest.mark.parametrize("change", [_replaced, _away_and_back, _linked, lambda path: path.unlink()])
def test_a_file_under_another_name_is_the_same_file_at_another_place(
    held: HeldFile, path: Path, change: Callable[[Path], object]
) -> None:
    change(path)
    with pytest.raises(IntegrityError, match="was changed or exchanged while it was opened"):
        held.check_place()
    held.check()
    held.check()


def test_a_change_while_it_is_hashed_is_told(path: Path) -> None:
    file = HeldFile(path)
    _overwritten(path)
    with pytest.raises(IntegrityError, match="while it was read"):
        file.digest()
    file.close()


def test_a_file_that_gets_another_name_while_it_is_hashed_is_hashed_again(path: Path) -> None:
    file = HeldFile(path)
    path.with_name("other").hardlink_to(path)
    assert file.digest() == hashlib.sha256(path.read_bytes()).hexdigest()
    file.check_place()
    file.close()


def test_a_file_that_was_written_just_now_is_waited_for(path: Path) -> None:
    """A second change within the same step of the clock would leave the times as they are."""
    for number in range(20):
        path.write_bytes(_BYTES)
        file = HeldFile(path)
        file.settle()
        assert file.settled
        file.sha256 = file.digest()
        path.write_bytes(b"%10d" % number)
        with pytest.raises(IntegrityError):
            file.check()
        file.close()


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link", "none", "."):
        with pytest.raises(IntegrityError, match=r"not a plain file|cannot be opened"):
            HeldFile(tmp_path / name)
