"""docs/measured.md and the results files go together, and no other page repeats what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.page import DOCS

ROOT = DOCS.parent
PAGE = DOCS / "measured.md"
RESULTS = {path.name for path in (ROOT / "benchmarks" / "results").iterdir()}
_RESULT = re.compile(r"`(?:benchmarks/results/)?([\w-]+\.(?:json|md))`")


def _named() -> set[str]:
    return set(_RESULT.findall(PAGE.read_text(encoding="utf-8")))


def test_the_page_names_only_results_that_are_there() -> None:
    assert sorted(_named() - RESULTS) == []


def test_every_results_file_is_named() -> None:
    missing = sorted(RESULTS - _named())
    assert missing == [], f"docs/measured.md: say what these files hold, or remove them: {', '.join(missing)}"


def test_every_section_names_its_results() -> None:
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert sections
    for section in sections:
        assert set(_RESULT.findall(section)) & RESULTS, (
            f"docs/measured.md: name the file of '{section.splitlines()[0]}'"
        )


#: Figures as the tables of the results write them: 0.953 / 0.180, 69.4 ± 4.4, 98.10.
_COPIED = re.compile(r"\d\.\d{3} / \d\.\d{3}|\d+\.\d ± \d+\.\d|(?<=\| )\d+\.\d{2}(?= \|)")


@pytest.mark.parametrize(
    "section",
    ["Accuracy of the heads", "As many views as a decision takes", "Unknown defects", "The pocket encoder"],
)
def test_tables_repeat_what_the_results_say(section: str) -> None:
    """The sections whose tables are parts of a results file in Markdown."""
    text = PAGE.read_text(encoding="utf-8").split(f"## {section}\n")[1].split("\n## ")[0]
    results = "".join(
        (ROOT / "benchmarks" / "results" / name).read_text(encoding="utf-8")
        for name in _RESULT.findall(text)
        if name.endswith(".md")
    )
    figures = _COPIED.findall(text)
    assert len(figures) >= 8
    assert [figure for figure in figures if figure not in results] == []


@pytest.mark.parametrize(
    "page",
    [path for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))) if path != PAGE],
    ids=lambda page: page.name,
)
def test_other_pages_refer_to_this_one(page: Path) -> None:
    """Where a figure stands on two pages, one of them will be out of date."""
    named = re.findall(r"benchmarks/results/[\w-]+\.\w+", page.read_text(encoding="utf-8"))
    assert named == [], f"{page.name}: link to docs/measured.md instead of naming {', '.join(named)}"
