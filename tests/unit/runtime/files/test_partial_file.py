"""Temporary files: what a killed process left is used again, and what somebody else holds or made is not."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mvrec_edge.runtime.files import atomic_write
from mvrec_edge.runtime.files.growing_file import GrowingFile
from mvrec_edge.runtime.files.partial_file import open_partial, remove_abandoned

_KILLED = """
import os, signal, sys
from pathlib import Path
from mvrec_edge.runtime.files import atomic_write
with atomic_write(Path(sys.argv[1])) as stream:
    stream.write(b"half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_what_a_killed_process_left_is_gone_after_the_next_write(tmp_path: Path) -> None:
    for write in (lambda path: _atomic(path), lambda path: _growing(path)):
        subprocess.run([sys.executable, "-c", _KILLED, tmp_path / "a"], check=False)
        assert ".a.1.partial" in names(tmp_path)
        write(tmp_path / "a")
        assert names(tmp_path) == ["a"]
        assert (tmp_path / "a").read_bytes() == b"new"


def _atomic(path: Path) -> None:
    with atomic_write(path) as stream:
        stream.write(b"new")


def _growing(path: Path) -> None:
    stream = GrowingFile(path)
    stream.replace([b"new"])
    stream.close()


def test_two_writers_at_once_have_a_file_each(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with atomic_write(path) as one, atomic_write(path) as two:
        one.write(b"one")
        two.write(b"two")
        assert names(tmp_path) == [".a.1.partial", ".a.2.partial"]
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["a"]


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    (tmp_path / ".a.1.partial").symlink_to(other)
    (tmp_path / ".a.2.partial").hardlink_to(other)
    (tmp_path / ".a.3.partial").mkdir()
    os.mkfifo(tmp_path / ".a.4.partial")
    for number in range(5, 9):
        (tmp_path / f".a.{number}.partial").mkdir()
    name, handle = open_partial(tmp_path / "a", os.O_WRONLY)
    os.close(handle)
    assert not name.name[3].isdigit() or len(name.name) > 20
    assert other.read_bytes() == b"precious"


def test_what_is_not_written_again_can_be_removed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, tmp_path / "a"], check=False)
    with atomic_write(tmp_path / "b") as stream:
        remove_abandoned(tmp_path / "b")
        remove_abandoned(tmp_path / "a")
        assert names(tmp_path) == [".b.1.partial"]
        stream.write(b"x")
    assert (tmp_path / "b").read_bytes() == b"x"


def test_without_locks_no_name_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = tmp_path / "a"
    with atomic_write(path) as one, atomic_write(path) as two:
        one.write(b"one")
        two.write(b"two")
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["a"]
