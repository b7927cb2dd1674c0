"""What README and docs/ say of the command line and of each other: commands parse, links lead somewhere."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mvrec_edge.cli.config.command import command_settings
from mvrec_edge.cli.config.template import render_template
from mvrec_edge.cli.main import app
from tests.docs.page import DOCS

ROOT = DOCS.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted(DOCS.rglob("*.md")),
]
#: Longer than this, nobody reads it to its end.
README_LINES = 120
_FENCE = re.compile(r"^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
#: A file or folder of the repository that a page names; `NAME` stands for what a reader chooses.
_PATH = re.compile(r"`((?:benchmarks|calib|cli|docs|doctor|export|runtime|supply|testing|tests|training)/[\w./-]*)`")


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _commands() -> Iterator[tuple[str, str]]:
    """Every command line that a page shows in a block, with the page's name."""
    for page in PAGES:
        for block in _FENCE.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                command = re.sub(r"\s+#.*$", "", line.strip())
                if command.startswith("mvrec-edge "):
                    yield _name(page), command


COMMANDS = list(dict.fromkeys(_commands()))


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[f"{page}: {command}" for page, command in COMMANDS])
def test_a_command_that_a_page_shows_can_be_typed(
    page: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsed as the command line would: its options are there, its values are in range, nothing is missing."""
    (tmp_path / "mvrec-edge.toml").write_text(render_template(command_settings()))
    monkeypatch.chdir(tmp_path)
    found: Any = get_command(app)
    words = shlex.split(command.split(" > ")[0])[1:]
    while hasattr(found, "commands"):
        assert words, f"{page}: '{command}' lacks a command"
        assert words[0] in found.commands, f"{page}: there is no command '{words[0]}'"
        found = found.commands[words.pop(0)]
    found.make_context(command, words)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{_name(page)}: {link} leads nowhere"
        if anchor:
            assert anchor in _anchors(target), f"{_name(page)}: {link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_what_python_examples_import_is_there(page: Path) -> None:
    for block in _PYTHON.findall(page.read_text(encoding="utf-8")):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)
            elif isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{_name(page)}: {node.module} has no {alias.name}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    for name in _PATH.findall(page.read_text(encoding="utf-8")):
        assert "NAME" in name or (ROOT / name).exists(), f"{_name(page)}: there is no {name}"


def test_the_readme_is_short_enough_to_be_read() -> None:
    lines = len((ROOT / "README.md").read_text(encoding="utf-8").splitlines())
    assert lines <= README_LINES, f"README.md has {lines} lines: move what not every reader needs to a page of docs/"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=_name)
def test_every_page_is_in_the_readmes_table(page: Path) -> None:
    row = f"| [docs/{page.name}](docs/{page.name}) | "
    assert row in (ROOT / "README.md").read_text(), f"README.md: add a row '{row}what it is about |'"


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made for Markdown on the usual hosts."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
