"""What is read is a regular file within bounds, and nothing else can hold the reader up."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from mvrec_edge.runtime.files import sha256_file
from mvrec_edge.runtime.files.regular_files import open_regular, read_bounded


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("a")
    assert read_bounded(tmp_path / "link", 5) == b"12345"
    with pytest.raises(OSError, match="is larger than 4 bytes"):
        read_bounded(tmp_path / "a", 4)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (_socket, "is not a regular file"),
        (Path.mkdir, "is a folder"),
    ],
)
def test_what_is_no_file_is_refused_unopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object], said: str
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    make(Path("a"))
    for read in (lambda: read_bounded(Path("a"), 9), lambda: sha256_file(Path("a"))):
        with pytest.raises(OSError, match=said):
            read()


def test_a_pipe_that_takes_the_place_of_a_file_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    found = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "stat", lambda *_, **__: found)
    with pytest.raises(OSError, match="is not a regular file"), open_regular(path):
        pass
