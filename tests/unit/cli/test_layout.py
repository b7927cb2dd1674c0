"""The folder of `init`: what a run that was cut off left is made whole by the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvrec_edge.cli.layout import FOLDERS, write_layout
from mvrec_edge.runtime.errors import OutputError

FILES = {"README.md": "read\n", "labelled/dent/README.txt": "dents\n"}


@pytest.mark.parametrize("name", [name.rpartition("/")[2] for name in FOLDERS[1:]])
def test_a_run_that_was_cut_off_does_not_leave_half_of_the_example_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder, real = tmp_path / "new", Path.mkdir

    def full(path: Path, *arguments: object, **options: object) -> None:
        if path.name == name:
            raise OSError(28, "No space left on device")
        real(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(OutputError, match="No space left"):
        write_layout(folder, FILES, into_used=False)
    monkeypatch.undo()
    write_layout(folder, FILES, into_used=True)
    assert all((folder / each).is_dir() for each in FOLDERS)
    assert (folder / "labelled" / "dent" / "README.txt").read_text() == "dents\n"
    assert not list(folder.glob(".*"))


def test_classes_of_ones_own_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "labelled" / "crack").mkdir(parents=True)
    write_layout(tmp_path, FILES, into_used=True)
    assert [each.name for each in (tmp_path / "labelled").iterdir()] == ["crack"]
