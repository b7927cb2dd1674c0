"""Every example of 'bring your own defects' works as the page says, and every message is the one that is given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mvrec_edge.runtime import open_source
from mvrec_edge.runtime.regions import DEFAULT_MIN_AREA, SOURCE_FORMATS
from tests.docs.folder import IMAGE_SIZE, build, check, run, spoil
from tests.docs.page import DOCS, Example, Mistake, read_page

OVERVIEW = DOCS / "bring-your-own-defects.md"
FOLDER = OVERVIEW.with_suffix("")
PAGES = sorted(FOLDER.glob("*.md"))
EXAMPLES = [example for page in PAGES for example in read_page(page)]
#: What is wrong whatever the format is shown on the first example of this page.
COMMON = next((example for example in EXAMPLES if example.page.endswith("/folders.md")), None)
MISTAKES = [(example, mistake) for example in EXAMPLES for mistake in example.mistakes] + [
    (COMMON, mistake) for example in read_page(OVERVIEW) for mistake in example.mistakes
]


def test_there_is_a_page_for_every_annotation_format() -> None:
    for name in SOURCE_FORMATS:
        assert (FOLDER / f"{name}.md").is_file(), f"write docs/bring-your-own-defects/{name}.md like those beside it"
        assert f"](bring-your-own-defects/{name}.md)" in OVERVIEW.read_text(), f"name {name}.md in docs/{OVERVIEW.name}"
    assert {page.stem for page in PAGES} == set(SOURCE_FORMATS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_what_a_reader_looks_for(page: Path) -> None:
    examples = [example for example in EXAMPLES if DOCS / example.page == page]
    commands = " ".join(command for example in examples for step in example.steps for command in step.commands)
    for name in ("calibrate", "classify", "evaluate"):
        assert f"mvrec-edge {name} " in commands, f"{page.name}: show the command '{name}'"
    assert sum(len(example.mistakes) for example in examples) >= 3, f"{page.name}: show the usual mistakes"
    width, height = IMAGE_SIZE
    assert f"{width} x {height}" in page.read_text(), f"{page.name}: say how large the images of the examples are"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.page}: {example.heading}")
def test_an_example_works_as_it_stands(example: Example, tmp_path: Path, tiny_bundle_path: Path) -> None:
    assert set(example.files) <= set(example.tree), "a file is shown that the tree does not have"
    build(example, tmp_path, tiny_bundle_path)
    for step in example.steps:
        printed: list[str] = []
        for command in step.commands:
            code, lines = run(command, tmp_path)
            assert code == 0, f"{command}\n" + "\n".join(lines)
            printed += lines
        check(step.messages, printed, example.page)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.page}: {example.heading}")
def test_an_example_is_of_the_format_its_page_is_about(
    example: Example, tmp_path: Path, tiny_bundle_path: Path
) -> None:
    """Without --format, as the page says that it is found by itself."""
    build(example, tmp_path, tiny_bundle_path)
    words = example.first_command.split()
    masks = tmp_path / words[words.index("--masks") + 1] if "--masks" in words else None
    whole_images = " --input full" in example.first_command
    source = open_source(tmp_path / words[3], masks=masks, whole_images=whole_images)
    assert source.format == Path(example.page).stem
    assert not source.problems


@pytest.mark.parametrize(
    ("example", "mistake"), MISTAKES, ids=[f"{mistake.page}: {mistake.number}" for _, mistake in MISTAKES]
)
def test_a_mistake_gives_the_message_that_is_quoted(
    example: Example,
    mistake: Mistake,
    tmp_path: Path,
    tiny_bundle_path: Path,
) -> None:
    build(example, tmp_path, tiny_bundle_path)
    command = mistake.command or example.first_command
    if " classify " in command:
        assert run(example.first_command, tmp_path)[0] == 0
    spoil(mistake.changes, tmp_path)
    code, printed = run(command, tmp_path)
    check(mistake.messages, printed, mistake.page)
    refused = any(message.startswith("error: ") for message in mistake.messages)
    skipped = any(message.startswith("skipped: ") for message in mistake.messages)
    assert (code > 1) if refused else code == (1 if skipped else 0), f"exit code {code}\n" + "\n".join(printed)


def test_the_smallest_area_that_the_pages_name_is_the_one_that_is_used() -> None:
    for page in (OVERVIEW, *PAGES):
        for found in re.findall(r"fewer than (\d+) pixels", page.read_text()):
            assert int(found) == DEFAULT_MIN_AREA, page.name
