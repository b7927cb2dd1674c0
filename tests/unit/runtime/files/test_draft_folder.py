"""A folder takes its place whole, whatever ends the process that makes it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.files import draft_folder
from mvrec_edge.runtime.files.draft_folder import DraftFolder, recover_folder

#: Calls of the system after which a process may be gone, as Python's audit events name them.
_STEPS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "ctypes.call_function", "open")


def write(place: Path, content: str) -> None:
    draft = DraftFolder(place)
    try:
        for name in ("a", "b"):
            (draft.path / name).write_text(content)
        draft.put_in_place()
    finally:
        draft.close()


def content(place: Path) -> str:
    recover_folder(place)
    texts = {(place / name).read_text() for name in ("a", "b")}
    assert sorted(item.name for item in place.iterdir()) == ["a", "b"]
    (text,) = texts
    return text


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Runs some work in a process that ends at a step, as if killed; whether there were as many steps."""
    child = os.fork()
    if child == 0:
        seen = [0]

        def watch(event: str, _: object) -> None:
            if event in _STEPS:
                seen[0] += 1
                if seen[0] == step:
                    os._exit(9)

        sys.addaudithook(watch)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def no_exchange(one: Path, other: Path) -> bool:
    """A system that cannot exchange two names."""
    del one, other
    return False


@pytest.fixture(params=["exchange", "two renames"])
def _system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "two renames":
        monkeypatch.setattr(draft_folder, "_exchange", no_exchange)


@pytest.mark.usefixtures("_system")
def test_the_old_folder_or_the_new_one_is_there_at_every_moment(tmp_path: Path) -> None:
    place, seen, step = tmp_path / "x", set(), 0
    write(place, "old")
    while True:
        step += 1
        if not killed_at(step, lambda: write(place, "new")):
            break
        seen.add(content(place))
        write(place, "old")
    assert seen == {"old", "new"}
    assert step > 8
    assert content(place) == "new"


@pytest.mark.usefixtures("_system")
def test_what_killed_processes_left_is_removed_by_the_next(tmp_path: Path) -> None:
    place = tmp_path / "x [1]"
    write(place, "old")
    for step in range(1, 12):
        killed_at(step, lambda: write(place, "new"))
    write(place, "last")
    assert content(place) == "last"
    assert [item.name for item in tmp_path.iterdir()] == ["x [1]"]


def test_a_draft_that_is_being_made_is_left_alone(tmp_path: Path) -> None:
    first = DraftFolder(tmp_path / "x")
    (first.path / "a").write_text("first")
    write(tmp_path / "x", "second")
    assert (first.path / "a").read_text() == "first"
    first.close()
    assert [item.name for item in tmp_path.iterdir()] == ["x"]


def test_it_is_as_readable_as_any_other_folder(tmp_path: Path) -> None:
    write(tmp_path / "x", "new")
    (tmp_path / "usual").mkdir()
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_rename_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "x", "old")

    def refused(one: Path, other: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(other))

    monkeypatch.setattr(draft_folder, "_exchange", refused)
    with pytest.raises(OutputError, match="Permission denied"):
        write(tmp_path / "x", "new")
    assert content(tmp_path / "x") == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("name", ["x", ".", "..", "x/..", "/", ""])
def test_nothing_is_recovered_where_nothing_is_missing(tmp_path: Path, name: str) -> None:
    recover_folder(tmp_path / name)
    recover_folder(Path(name))
    assert list(tmp_path.iterdir()) == []
