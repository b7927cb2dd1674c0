"""Reports as the commands write them, opened in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.testing.dataset import write_dataset
from tests.e2e.commands import run

pytestmark = pytest.mark.browser


def test_classify_and_evaluate(open_page: Callable[[Path], Any], tiny_bundle_path: Path, tmp_path: Path) -> None:
    parts, cache = tmp_path / "parts", tmp_path / "line.safetensors"
    write_dataset(parts, families=("scratch", "stain", "pit"), per_class=3, size=(240, 320), seed=0)
    run("calibrate", tiny_bundle_path, parts, "--shots", 2, "--out", cache)
    run("classify", tiny_bundle_path, cache, parts, "--report", tmp_path / "a.html")
    run(
        "evaluate", tiny_bundle_path, parts, "--shots", 1, "--draws", 1, "--heads", "zip", "--report",
        tmp_path / "b.html", "--store", tmp_path / "store",
    )  # fmt: skip
    for name, regions, shots in (("a.html", 9, 2), ("b.html", 6, 1)):
        page = open_page(tmp_path / name)
        assert page.text("#count") == f"{regions} regions"
        assert all(width > 0 for width in page.loaded("img"))
        assert len(page.texts("#detail .near")) == 4
        assert page.texts("#detail .near .blank") == []
        facts = dict(zip(page.texts("#panel-run .facts th"), page.texts("#panel-run .facts td"), strict=True))
        assert facts["bundle"] == tiny_bundle_path.name
        assert facts["shots"] == f"{shots} of each class, seed 0"
        assert "27 views" in facts["views"]
        for tab in "4321":
            page.key(tab)
        page.key("\ue010")
        assert page.js("return document.querySelector('.row[aria-selected=true]').ariaPosInSet") == str(regions)
