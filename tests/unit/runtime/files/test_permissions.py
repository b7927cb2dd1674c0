"""What takes the place of something private is private."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mvrec_edge.runtime.files import atomic_write
from mvrec_edge.runtime.files.draft_folder import DraftFolder
from mvrec_edge.runtime.files.permissions import keep_permissions

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def folder(place: Path, names: dict[str, int], own: int) -> Path:
    place.mkdir()
    for name, bits in names.items():
        (place / name).write_text("old")
        (place / name).chmod(bits)
    place.chmod(own)
    return place


def replace(place: Path, *names: str) -> None:
    draft = DraftFolder(place)
    try:
        for name in names:
            (draft.path / name).write_text("new")
        draft.put_in_place()
    finally:
        draft.close()


@pytest.mark.parametrize(("own", "bits"), [(0o700, 0o600), (0o750, 0o640), (0o755, 0o644), (0o2775, 0o664)])
def test_a_folder_and_its_files_keep_their_modes(tmp_path: Path, own: int, bits: int) -> None:
    place = folder(tmp_path / "place", {"a": bits, "b": bits}, own)
    replace(place, "a", "b", "c")
    assert mode(place) == own
    assert [mode(place / name) for name in "abc"] == [bits] * 3
    assert (place / "a").read_text() == "new"


def test_each_file_keeps_its_own_and_a_new_one_gets_what_all_had(tmp_path: Path) -> None:
    place = folder(tmp_path / "place", {"a": 0o640, "b": 0o604}, 0o755)
    replace(place, "a", "b", "c")
    assert [mode(place / name) for name in "abc"] == [0o640, 0o604, 0o600]


def test_a_draft_is_closed_to_others_until_it_has_its_place(tmp_path: Path) -> None:
    draft = DraftFolder(folder(tmp_path / "place", {}, 0o755))
    assert mode(draft.path) == 0o700
    draft.close()


def test_a_first_folder_is_as_any_other(tmp_path: Path) -> None:
    replace(tmp_path / "place", "a")
    assert (mode(tmp_path / "place"), mode(tmp_path / "place" / "a")) == (0o755, 0o644)


@as_root
def test_owner_and_group_stay(tmp_path: Path) -> None:
    place = folder(tmp_path / "place", {"a": 0o600}, 0o700)
    for path in (place / "a", place):
        os.chown(path, 12345, 23456)
    replace(place, "a", "b")
    for path in (place, place / "a", place / "b"):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


@as_root
def test_a_group_that_cannot_be_kept_may_do_no_more_than_everybody(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir(0o777)
    place.chmod(0o777)
    old, new = place / "old", place / "new"
    for path, owner in ((old, 0), (new, 12345)):
        path.write_text("")
        path.chmod(0o640)
        os.chown(path, owner, owner)
    child = os.fork()
    if child == 0:
        try:
            # From within: the folders above are closed to the other user.
            os.chdir(place)
            os.setgroups([])
            os.setgid(12345)
            os.setuid(12345)
            keep_permissions(Path(old.name), Path(new.name))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert (mode(new), new.stat().st_gid) == (0o600, 12345)


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o444])
def test_a_file_keeps_its_mode(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(bits)
    with atomic_write(path) as stream:
        assert {mode(each) for each in tmp_path.iterdir()} == {bits}
        stream.write(b"new")
    assert (mode(path), path.read_text()) == (bits, "new")
