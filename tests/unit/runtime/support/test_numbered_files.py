"""States of a file under numbers, also where a file system has no hard links."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mvrec_edge.runtime.errors import OutputError
from mvrec_edge.runtime.support.numbered_files import NumberedFiles


@pytest.mark.parametrize("links", [True, False])
def test_the_present_state_is_kept_under_the_next_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:

        def refuse(_: Path, target: Path) -> None:
            raise PermissionError(f"no links to {target}")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = tmp_path / "a"
    files = NumberedFiles(path)
    for number in range(1, 12):
        path.unlink(missing_ok=True)
        path.write_text(f"state {number}")
        assert files.keep_present() == number
    assert files.numbers() == [*range(1, 12)]
    assert [files.at(number).read_text() for number in (1, 9, 11)] == ["state 1", "state 9", "state 11"]
    assert files.at(11).samefile(path) == links
    files.prune(2)
    assert files.numbers() == [10, 11]
    files.drop_double()
    files.drop_double()
    assert files.numbers() == [10]
    assert files.next_number() == 11
    assert path.read_text() == "state 11"


def test_what_cannot_be_kept_is_an_error(tmp_path: Path) -> None:
    files = NumberedFiles(tmp_path / "a")
    with pytest.raises(OutputError, match="cannot be written"):
        files.keep_present()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere"), lambda path: path.symlink_to("/dev/zero")]
)
def test_what_is_no_file_is_no_state_but_keeps_its_number(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "a"
    path.write_text("state")
    make(tmp_path / "a.3")
    files = NumberedFiles(path)
    files.drop_double()
    assert (files.numbers(), files.keep_present()) == ([], 4)
    files.prune(1)
    assert files.numbers() == [4]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "a.3", "a.4"]
