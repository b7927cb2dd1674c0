"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files import atomic_write, sha256_bytes, sha256_file


def test_atomic_write_replaces_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with atomic_write(target) as stream:
        stream.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert [item.name for item in tmp_path.iterdir()] == ["a.bin"]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), atomic_write(target) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.bin"]


def test_an_unwritable_place_is_an_output_error(tmp_path: Path) -> None:
    said = r"cannot be written: the folder .*none does not exist \(make the folder first\)"
    with pytest.raises(OutputError, match=said), atomic_write(tmp_path / "none" / "a.bin"):
        pass


def test_hashes_agree(tmp_path: Path) -> None:
    data = bytes(range(256)) * 40_000
    (tmp_path / "a").write_bytes(data)
    assert sha256_file(tmp_path / "a") == sha256_bytes(data[:1000], data[1000:])


def test_a_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a"):
        pass
    (tmp_path / "usual").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_the_longest_name_that_there_is(tmp_path: Path) -> None:
    with atomic_write(tmp_path / ("n" * 255)) as stream:
        stream.write(b"new")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"new"


def test_a_rename_that_cannot_be_confirmed_is_not_called_a_failure_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_files_alone(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", of_files_alone)
    said = "was written, but the system could not confirm it"
    with pytest.raises(OutputError, match=said), atomic_write(tmp_path / "a") as stream:
        stream.write(b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
