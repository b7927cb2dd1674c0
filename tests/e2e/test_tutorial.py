"""Every command of docs/tutorial.md, in order, as a reader would type it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch", reason="the tutorial exports an encoder, which needs PyTorch")

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def make_tutorial() -> ModuleType:
    pytest.importorskip("rich", reason="the tutorial's pictures are drawn with rich")
    spec = importlib.util.spec_from_file_location("make_tutorial", DOCS / "make_tutorial.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_every_command_works_and_leaves_what_the_page_says(make_tutorial: ModuleType, tmp_path: Path) -> None:
    blocks = make_tutorial.blocks()
    assert len(blocks) >= 5
    for block in blocks:
        assert make_tutorial.run_block(block, tmp_path), f"printed nothing: {block.commands}"
    results = tmp_path / "line1" / "results"
    assert (results / "results.jsonl").read_text().count("\n") == 6
    assert "<html" in (results / "report.html").read_text()
    assert (results / "evaluation" / "evaluation.md").is_file()


def test_every_picture_is_there() -> None:
    page = (DOCS / "tutorial.md").read_text()
    pictures = [line.split("(", 1)[1].rstrip(")") for line in page.splitlines() if line.startswith("![")]
    assert len(pictures) >= 8
    for picture in pictures:
        assert (DOCS / picture).stat().st_size > 1000
