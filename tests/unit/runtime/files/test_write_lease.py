"""Whoever writes to a leased file waits until nobody reads it."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mvrec_edge.runtime.files.write_lease import WriteLease


@pytest.fixture
def handles(tmp_path: Path) -> Iterator[list[int]]:
    handles = []
    for name in ("graph", "weights"):
        (tmp_path / name).write_bytes(b"0123456789")
        handles.append(os.open(tmp_path / name, os.O_RDONLY))
    yield handles
    for handle in handles:
        os.close(handle)


@pytest.fixture
def lease(handles: list[int]) -> Iterator[WriteLease]:
    lease = WriteLease(handles)
    if not lease.held:
        pytest.skip("the file system of the temporary folder has no leases")
    yield lease
    lease.give_back()


@pytest.mark.parametrize("name", ["graph", "weights"])
def test_a_writer_waits_for_what_is_being_read(
    lease: WriteLease, handles: list[int], tmp_path: Path, name: str
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with lease.reading():
            writing = pool.submit((tmp_path / name).write_bytes, b"other")
            while lease.asked is None:
                assert not writing.done()
            assert (tmp_path / name).read_bytes() == b"0123456789"
        writing.result()
    assert lease.asked == handles[["graph", "weights"].index(name)]
    # The other one is free as well: whoever copies a bundle over this one copies both.
    (tmp_path / "graph").write_bytes(b"other")


def test_readers_do_not_wait(lease: WriteLease, tmp_path: Path) -> None:
    with lease.reading():
        assert (tmp_path / "graph").read_bytes() == b"0123456789"
        (tmp_path / "graph").replace(tmp_path / "weights")
    assert lease.asked is None


def test_when_it_is_given_back_nobody_waits(lease: WriteLease, tmp_path: Path) -> None:
    before = threading.active_count()
    lease.give_back()
    lease.give_back()
    assert threading.active_count() == before - 1
    (tmp_path / "graph").write_bytes(b"other")
    assert lease.asked is None


def test_a_forked_child_leaves_the_lease_alone(lease: WriteLease, handles: list[int]) -> None:
    child = os.fork()
    if child == 0:
        lease.give_back()
        os._exit(0)
    os.waitpid(child, 0)
    assert [fcntl.fcntl(handle, fcntl.F_GETLEASE) for handle in handles] == [fcntl.F_RDLCK] * 2


def test_without_leases_there_is_none(handles: list[int], tmp_path: Path) -> None:
    with (tmp_path / "weights").open("r+b"):
        # Somebody writes to one of the files already.
        lease = WriteLease(handles)
    assert not lease.held
    with lease.reading():
        (tmp_path / "graph").write_bytes(b"other")
    lease.give_back()
