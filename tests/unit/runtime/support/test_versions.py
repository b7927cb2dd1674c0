"""Versions of a support cache: nothing is lost by any change, any way back, or any end of the process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime import SupportCache
from mvrec_edge.runtime.errors import InputError, IntegrityError, OutputError, UsageError
from mvrec_edge.runtime.support.versions import SupportVersions


def support(seed: int, count: int = 4) -> SupportCache:
    embeddings = np.random.default_rng(seed).standard_normal((count, 2, 6)).astype(np.float32)
    return SupportCache.from_embeddings(embeddings, np.arange(count) % 2, ["a", "b"])


def started(folder: Path, keep: int = 20) -> SupportVersions:
    versions = SupportVersions(folder / "line.safetensors", keep)
    with versions.change():
        assert versions.write(support(0)) is None
    return versions


def names(versions: SupportVersions) -> list[str]:
    return [version.name for version in versions.history()]


def test_every_change_keeps_what_was_there(tmp_path: Path) -> None:
    versions = started(tmp_path)
    assert [versions.write(support(seed)) for seed in (1, 2)] == [1, 2]
    assert versions.write(support(2)) is None
    assert names(versions) == ["1", "2", "present"]
    assert [version.path.read_bytes() for version in versions.history()] == [support(n).to_bytes() for n in range(3)]


def states(versions: SupportVersions) -> list[bytes]:
    return [version.path.read_bytes() for version in versions.history()]


def of(*seeds: int) -> list[bytes]:
    return [support(seed).to_bytes() for seed in seeds]


def test_back_and_forth(tmp_path: Path) -> None:
    versions = started(tmp_path)
    for seed in (1, 2, 3):
        versions.write(support(seed))
    assert versions.rollback() == (3, 4)
    assert (names(versions), states(versions)) == (["1", "2", "4", "present"], of(0, 1, 3, 2))
    assert versions.rollback(to=1) == (1, 5)
    assert (names(versions), states(versions)) == (["2", "4", "5", "present"], of(1, 3, 2, 0))
    # Another one takes up again what the last one took back; any other state is reached by its number.
    assert versions.rollback() == (5, 6)
    assert versions.rollback(to=4) == (4, 7)
    assert (names(versions), states(versions)) == (["2", "6", "7", "present"], of(1, 0, 2, 3))


def test_a_change_after_a_way_back_keeps_both(tmp_path: Path) -> None:
    versions = started(tmp_path)
    versions.write(support(1))
    versions.rollback()
    assert versions.write(support(2)) == 3
    assert (names(versions), states(versions)) == (["2", "3", "present"], of(1, 0, 2))


def test_ways_back_remove_nothing(tmp_path: Path) -> None:
    versions = started(tmp_path, keep=3)
    for seed in (1, 2, 3):
        versions.write(support(seed))
    fewer = SupportVersions(versions.path, keep=1)
    for _ in range(5):
        fewer.rollback()
        assert sorted(states(versions)) == sorted(of(0, 1, 2, 3))


def test_what_is_not_there_changes_nothing(tmp_path: Path) -> None:
    versions = started(tmp_path)
    with pytest.raises(InputError, match="no earlier version"):
        versions.rollback()
    versions.write(support(1))
    with pytest.raises(InputError, match=r"no version 7 \(versions: 1\)"):
        versions.rollback(to=7)
    versions.history()[0].path.write_bytes(support(0).to_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError):
        versions.rollback()
    assert names(versions) == ["1", "present"]
    assert versions.path.read_bytes() == support(1).to_bytes()


def test_a_damaged_cache_is_rolled_back(tmp_path: Path) -> None:
    versions = started(tmp_path)
    versions.write(support(1))
    versions.path.unlink()
    versions.path.write_bytes(b"half")
    versions.rollback()
    assert states(versions) == [b"half", *of(0)]
    with pytest.raises(InputError, match="not a support cache"):
        versions.rollback()
    assert states(versions) == [b"half", *of(0)]


def test_a_damaged_version_is_passed_over(tmp_path: Path) -> None:
    versions = started(tmp_path)
    versions.write(support(1))
    versions.write(support(2))
    versions.path.unlink()
    versions.path.write_bytes(b"half")
    versions.rollback()
    assert versions.path.read_bytes() == support(1).to_bytes()
    versions.rollback()
    assert versions.path.read_bytes() == support(0).to_bytes()
    assert b"half" in states(versions)


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    versions = started(tmp_path, keep=2)
    for seed in range(1, 6):
        versions.write(support(seed))
    assert names(versions) == ["4", "5", "present"]
    with pytest.raises(UsageError, match="at least 1"):
        SupportVersions(tmp_path / "a", keep=0)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    versions = started(tmp_path, keep=1)
    others = ["line.safetensors.01", "line.safetensors.0", "line.safetensors.1x", "other.safetensors.1", "line.1"]
    others += ["line.safetensors.20240131120000", "line.safetensors.undone.1", "line-safetensors.7"]
    for name in others:
        (tmp_path / name).write_text("mine")
    for seed in (1, 2, 3):
        versions.write(support(seed))
    assert names(versions) == ["3", "present"]
    assert all((tmp_path / name).read_text() == "mine" for name in others)


def test_a_link_is_followed(tmp_path: Path) -> None:
    versions = started(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.safetensors"
    link.symlink_to(versions.path)
    assert SupportVersions(link).write(support(1)) == 1
    assert link.is_symlink()
    assert versions.path.read_bytes() == support(1).to_bytes()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.one_of(st.integers(1, 5), st.just("back"), st.tuples(st.integers(0, 20))), max_size=12))
def test_any_changes_and_ways_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int | str | tuple[int]]
) -> None:
    """Against a list of the seeds that should be there; a tuple goes back to one of them by its number."""
    versions = started(tmp_path_factory.mktemp("versions"), keep=50)
    others: list[int] = []
    present = 0
    for step in steps:
        # What is the present state as well is no other one: every step begins with that.
        if others and others[-1] == present:
            others.pop()
        if isinstance(step, int):
            kept = versions.write(support(step))
            if step == present:
                assert kept is None
            else:
                others.append(present)
                present = step
        elif others:
            place = len(others) - 1 if isinstance(step, str) else step[0] % len(others)
            versions.rollback(None if isinstance(step, str) else int(names(versions)[place]))
            others.append(present)
            present = others.pop(place)
        assert versions.path.read_bytes() == support(present).to_bytes()
    # All of them are still there, whatever was changed and taken back.
    assert set(states(versions)) == set(of(*others, present))
    before = versions.path.read_bytes()
    if set(others) - {present}:
        versions.rollback()
        versions.rollback()
    assert versions.path.read_bytes() == before


_WRITE = """
import sys
sys.path.insert(0, sys.argv[2])
from tests.unit.runtime.support.test_versions import SupportVersions, support
versions = SupportVersions(sys.argv[1], 1000)
for seed in range(1, 1000):
    with versions.change():
        if seed % 4 == 0:
            versions.rollback()
        elif seed % 7 == 0:
            versions.rollback(max(1, seed // 7))
        else:
            versions.write(support(seed))
    print(seed, flush=True)
"""


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_a_killed_writer_loses_nothing(tmp_path: Path, steps: int) -> None:
    """Killed somewhere in the step after `steps`, whichever instruction that is; all states stay, and it goes on."""
    versions = started(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITE, versions.path, Path(__file__).parents[4]], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    for _ in range(steps):
        process.stdout.readline()
    process.kill()
    done = steps + len(process.stdout.read().split())
    process.wait()
    process.stdout.close()
    held = {version.path.read_bytes() for version in versions.history()}
    written = [seed for seed in range(done + 1) if (seed % 4 and seed % 7) or seed == 0]
    assert held >= {support(seed).to_bytes() for seed in written}
    SupportCache.load(versions.path)
    with versions.change():
        assert versions.write(support(2000)) is not None
        versions.rollback()
    assert support(2000).to_bytes() in {version.path.read_bytes() for version in versions.history()}


def test_what_a_cut_off_change_leaves_is_cleared(tmp_path: Path) -> None:
    """The present state has a second name, and the change itself did not come."""
    versions = started(tmp_path)
    versions.write(support(1))
    os.link(versions.path, tmp_path / "line.safetensors.2")
    assert versions.rollback() == (1, 2)
    assert (names(versions), states(versions)) == (["2", "present"], of(1, 0))


def test_a_reader_never_sees_half_or_nothing(tmp_path: Path) -> None:
    versions = started(tmp_path)
    done = threading.Event()
    states = {support(seed, 4 + seed).to_bytes() for seed in range(4)} | {support(0).to_bytes()}

    def change() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            versions.write(support(turn % 4, 4 + turn % 4))
            if turn % 3 == 0:
                versions.rollback()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            assert SupportCache.load(versions.path).to_bytes() in states
    finally:
        done.set()
        thread.join()


def test_a_rollback_that_cannot_be_confirmed_is_not_called_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = started(tmp_path)
    versions.write(support(1))
    real, calls = os.fsync, []

    def fail_the_last(handle: int) -> None:
        # The first is that of the name under which the present state is kept.
        calls.append(handle)
        if len(calls) > 1:
            raise OSError(5, "Input/output error")
        real(handle)

    monkeypatch.setattr(os, "fsync", fail_the_last)
    with pytest.raises(OutputError, match="was written, but the system could not confirm it"):
        versions.rollback()
    assert states(versions)[-1] == support(0).to_bytes()
