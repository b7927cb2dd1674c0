"""A growing file: of one process alone, in whole pieces, synced by time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mvrec_edge.runtime.errors import LockedError, OutputError
from mvrec_edge.runtime.files import growing_file
from mvrec_edge.runtime.files.growing_file import SYNC_SECONDS, GrowingFile


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of files at the times when they were synced; the system still does it."""
    sizes: list[int] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        sizes.append(os.fstat(handle).st_size)

    monkeypatch.setattr(growing_file.os, "fsync", fsync)
    return sizes


@contextlib.contextmanager
def room_for(size: int) -> Iterator[None]:
    """Lets files grow to `size` bytes and no further, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_the_first_piece_is_synced_at_once_and_others_by_time(tmp_path: Path, synced: list[int]) -> None:
    clock = Clock()
    stream = GrowingFile(tmp_path / "new" / "a", clock=clock)
    stream.add(b"1")
    assert 1 in synced
    count = len(synced)
    for _ in range(3):
        stream.add(b"2")
    assert len(synced) == count
    clock.now += SYNC_SECONDS
    stream.add(b"3")
    assert synced[count] == 5
    stream.add(b"4")
    stream.close()
    assert 6 in synced
    assert (tmp_path / "new" / "a").read_bytes() == b"122234"


def test_it_is_held_under_every_name_and_by_whatever_takes_its_place(tmp_path: Path) -> None:
    path, link, other = (tmp_path / name for name in ("a", "link", "other"))
    path.write_bytes(b"old")
    link.symlink_to(path)
    other.hardlink_to(path)
    stream = GrowingFile(path)
    for name in (path, link, other):
        with pytest.raises(LockedError, match="another process is writing there"):
            GrowingFile(name)
    stream.replace([b"n", b"ew"])
    for name in (path, link):
        with pytest.raises(LockedError):
            GrowingFile(name)
    stream.add(b"er")
    stream.close()
    assert (path.read_bytes(), other.read_bytes()) == (b"newer", b"old")
    GrowingFile(link).close()
    assert link.is_symlink()


def test_a_link_that_leads_nowhere_yet_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a")
    stream = GrowingFile(tmp_path / "link")
    assert not stream.existed
    stream.begin(b"x")
    stream.close()
    assert (tmp_path / "a").read_bytes() == b"x"
    assert (tmp_path / "link").is_symlink()


def test_what_is_begun_anew_stays_until_there_is_a_piece(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    stream = GrowingFile(path)
    stream.begin(b"head ")
    assert path.read_bytes() == b"old"
    stream.abandon()
    assert path.read_bytes() == b"old"
    stream = GrowingFile(path)
    stream.begin(b"head ")
    stream.add(b"1")
    assert path.read_bytes() == b"head 1"
    stream.close()


def test_a_file_that_nothing_was_added_to_is_removed_after_a_failure(tmp_path: Path) -> None:
    for name, piece, there in (("a", b"", False), ("b", b"1", True)):
        stream = GrowingFile(tmp_path / name)
        if piece:
            stream.add(piece)
        stream.abandon()
        assert (tmp_path / name).exists() is there


def test_a_full_disk_leaves_no_part_of_a_piece(tmp_path: Path) -> None:
    path = tmp_path / "a"
    stream = GrowingFile(path)
    stream.add(b"whole\n")
    with room_for(10), pytest.raises(OutputError, match="File too large"):
        stream.add(b"a longer piece\n")
    assert path.read_bytes() == b"whole\n"
    with room_for(10), pytest.raises(OutputError, match="File too large"):
        stream.replace([b"another", b" content"])
    assert path.read_bytes() == b"whole\n"
    stream.close()
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_a_file_system_without_locks_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with contextlib.closing(GrowingFile(tmp_path / "a")) as one, contextlib.closing(GrowingFile(tmp_path / "a")):
        one.add(b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


@pytest.mark.skipif(os.geteuid() == 0, reason="an administrator may write everywhere")
def test_a_folder_that_cannot_be_written_is_no_hindrance_to_a_file_that_can(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    tmp_path.chmod(0o555)
    stream = GrowingFile(path)
    stream.begin()
    stream.add(b"new")
    stream.close()
    tmp_path.chmod(0o755)
    assert path.read_bytes() == b"new"


def test_what_is_no_file_is_written_and_not_locked(tmp_path: Path) -> None:
    with contextlib.closing(GrowingFile(Path("/dev/null"))), contextlib.closing(GrowingFile(Path("/dev/null"))) as two:
        two.begin(b"x")
        two.add(b"y")
        assert two.existed
        assert not two.lasting
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    stream = GrowingFile(pipe)
    stream.begin(b"head ")
    stream.add(b"1")
    assert os.read(reader, 99) == b"head 1"
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        stream.add(b"2")
    stream.close()


def test_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Is a directory"):
        GrowingFile(tmp_path)


def test_a_sync_that_fails_is_not_called_a_failure_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(growing_file.os, "fsync", fail)
    stream = GrowingFile(tmp_path / "a")
    with pytest.raises(OutputError, match="was written, but the system could not confirm it"):
        stream.add(b"whole\n")
    monkeypatch.undo()
    stream.close()
    assert (tmp_path / "a").read_bytes() == b"whole\n"
