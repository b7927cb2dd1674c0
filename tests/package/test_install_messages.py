"""Nothing that is printed or documented installs mvrec-edge by its name, which is on no package index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CODE = (
    "runtime",
    "testing",
    "calib",
    "export",
    "pocket",
    "doctor",
    "benchmarks",
    "cli",
    "mvrec_edge",
    "training",
    "supply",
)
PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "docs").rglob("*.md"),
        REPOSITORY / "Makefile",
        REPOSITORY / "pyproject.toml",
    ]
)
SOURCES = sorted(path for folder in CODE for path in (REPOSITORY / folder).rglob("*.py"))
#: A name that pip would look for on an index: with or without extras, and no ` @ ` with a place after it.
BY_NAME = re.compile(r"pip3? +(?:install|download|wheel)[^\n`&;,]*?[ '\"]mvrec[-_]edge(?:\[[^\]]*\])?(?![\w./\[-]| @ )")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pip install 'mvrec-edge[cpu]'", True),
        ("pip install mvrec-edge", True),
        ("python -m pip install --upgrade mvrec_edge[openvino,plot]", True),
        ('uv pip install "mvrec-edge"', True),
        ("pip install 'mvrec-edge[cpu] @ file:///a/mvrec_edge-1.0-py3-none-any.whl'", False),
        ("pip install -e '/a/mvrec-edge[cpu]'", False),
        ("pip install '.[cpu]' && mvrec-edge --help", False),
        ("pip install ./mvrec_edge-0.1.0-py3-none-any.whl", False),
    ],
)
def test_a_name_on_an_index_is_recognised(line: str, found: bool) -> None:
    assert bool(BY_NAME.search(line)) is found


def test_no_source_and_no_page_installs_it_by_name() -> None:
    # What has changed is told in the past.
    pages = [page for page in PAGES if page.name != "CHANGELOG.md"]
    found = [f"{path}: {hit[0]}" for path in [*pages, *SOURCES] for hit in BY_NAME.finditer(path.read_text("utf-8"))]
    assert found == []


def test_every_message_of_the_package_takes_its_command_from_one_place() -> None:
    apart = {REPOSITORY / "runtime" / "installing.py"}
    shipped = [path for path in SOURCES if path.relative_to(REPOSITORY).parts[0] not in ("training", "supply")]
    found = [
        str(path) for path in shipped if path not in apart and re.search(r"pip3? (un)?install", path.read_text("utf-8"))
    ]
    assert found == []
