"""The Pythons and versions that are tried are those that pyproject.toml names, and what came of it is told rightly."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from supply.matrix import EXTRAS, HEAVY, NEWER, PYTHONS, SHOWN, Job, Outcome, counted, interpreter, main, table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
_PYTHON = "Programming Language :: Python :: "


def test_the_pythons_that_are_tried_are_those_that_the_package_names() -> None:
    named = [text.removeprefix(_PYTHON) for text in PROJECT["classifiers"] if text.startswith(_PYTHON + "3.")]
    assert tuple(named) == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    assert all(SpecifierSet(PROJECT["requires-python"]).contains(version) for version in NEWER)


def test_every_requirement_has_a_lower_bound_that_the_lowest_versions_try() -> None:
    extras = PROJECT["optional-dependencies"]
    for requirement in map(
        Requirement, [*PROJECT["dependencies"], *(each for name in EXTRAS for each in extras[name])]
    ):
        assert [part.operator for part in requirement.specifier] == [">="], requirement


def test_what_the_table_shows_is_installed() -> None:
    asked = {Requirement(each).name for name in EXTRAS for each in PROJECT["optional-dependencies"][name]}
    assert {*SHOWN} <= asked | {Requirement(each).name for each in PROJECT["dependencies"]}


def test_the_heavy_tests_are_there() -> None:
    assert [name for name in HEAVY if not (REPOSITORY / name).is_file()] == []


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ("....\n2049 passed, 590 skipped in 61.25s (0:01:01)\n", (2049, 0, 590)),
        ("FAILED a - 9 passed\n78 failed, 4542 passed, 590 skipped, 2 errors in 170.45s (0:02:50)", (4542, 80, 590)),
        ("1 passed, 1 error in 0.1s", (1, 1, 0)),
        ("__main__.py: error: unrecognized arguments: --dist", (0, 0, 0)),
        ("", (0, 0, 0)),
    ],
)
def test_tests_are_counted_by_the_last_line(told: str, counts: tuple[int, int, int]) -> None:
    assert counted(told) == dict(zip(("passed", "failed", "skipped"), counts, strict=True))


def test_a_row_says_what_ran_or_why_nothing_did() -> None:
    ran = Outcome(
        Job("3.10", lowest=True),
        "3.10.13",
        versions=dict.fromkeys(SHOWN, "1.0") | {"imagecodecs": ""},
        counts={"passed": 9, "failed": 1, "skipped": 2},
        seconds=61.4,
    )
    lines = table([ran.row(), Outcome(Job("3.14"), "3.14", why="not on this machine").row()])
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {len(row) for row in cells} == {len(SHOWN) + 5}
    assert cells[2][:3] == ["3.10.13", "lowest", "1.0"]
    assert cells[2][2 + SHOWN.index("imagecodecs")] == "-"
    assert cells[2][-3:] == ["9", "1", "2"]
    assert cells[3][:3] == ["3.14", "newest", "-"]
    assert cells[3][-3] == "not on this machine"


@pytest.fixture
def pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which pyenv keeps its Pythons, and a path on which its program for 3.77 starts none."""
    (tmp_path / "path").mkdir()
    program(tmp_path / "path" / "python3.77", "echo 'pyenv: python3.77: command not found' >&2; exit 127")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    return tmp_path / "versions"


def program(path: Path, does: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return path


def test_the_newest_python_of_pyenv_that_starts_is_taken(pyenv: Path) -> None:
    program(pyenv / "3.77.2" / "bin" / "python3.77", "echo 3.77")
    taken = program(pyenv / "3.77.10" / "bin" / "python3.77", "echo 3.77")
    program(pyenv / "3.77.11" / "bin" / "python3.77", "exit 1")
    program(pyenv / "3.77.12" / "bin" / "python3.77", "echo 3.7")
    assert interpreter("3.77") == taken


def test_one_on_the_path_comes_first(pyenv: Path) -> None:
    program(pyenv / "3.78.1" / "bin" / "python3.78", "echo 3.78")
    taken = program(pyenv.parent / "path" / "python3.78", "echo 3.78")
    assert interpreter("3.78") == taken


def test_a_python_that_is_asked_for_and_not_there_is_a_failure(
    pyenv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "pythons.json"
    monkeypatch.setattr(sys, "argv", ["matrix", "--tools", "none", "--results", str(results), "python3.77"])
    assert main() == 1
    assert "| 3.77 | newest | - |" in capsys.readouterr().out
    assert [row["why"] for row in json.loads(results.read_text("utf-8"))["rows"]] == ["not on this machine"]


def test_the_table_of_a_page_is_replaced_and_nothing_else(
    pyenv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A\n\nBefore:\n\n| Python | old |\n| --- | --- |\n| 3.9 | 1 |\n\n- after | it\n")
    monkeypatch.setattr(sys, "argv", ["matrix", "--tools", "none", "--page", str(page), "3.77"])
    main()
    lines = page.read_text().splitlines()
    assert lines[:4] == ["# A", "", "Before:", ""]
    assert lines[4:7] == table([Outcome(Job("3.77"), "3.77", why="not on this machine").row()])
    assert lines[7:] == ["", "- after | it"]


def test_a_word_that_is_no_version_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["matrix", "--tools", "none", "newest"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "'newest' is neither a version such as 3.10 nor lowest" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("does", "why", "code"),
    [
        ("echo 'error: Failed to fetch: https://index/numpy/' >&2; exit 2", "the packages' index is not reached", 0),
        ("echo 'because only numpy<2 is there, unsatisfiable' >&2; exit 1", "cannot be installed", 1),
    ],
)
def test_an_index_that_is_not_reached_is_told_and_versions_that_do_not_fit_are_a_failure(
    does: str, why: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program(tmp_path / "uv", does)
    monkeypatch.setattr(sys, "argv", ["matrix", "--tools", str(tmp_path), "lowest"])
    assert main() == code
    assert f"| {why} |" in capsys.readouterr().out
