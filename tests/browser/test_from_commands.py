"""Reports as the commands write them, opened in a real browser."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.testing.dataset import write_dataset
from tests.browser.markup import MARKUP
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


def test_a_region_on_a_damaged_image_bears_a_badge_on_both_pages(
    open_page: Callable[[Path], Any], tiny_bundle_path: Path, tmp_path: Path
) -> None:
    parts, cache, results = tmp_path / "parts", tmp_path / "line.safetensors", tmp_path / "r.jsonl"
    write_dataset(parts, families=("scratch", "pit"), per_class=2, size=(96, 128), seed=0)
    run("calibrate", tiny_bundle_path, parts, "--out", cache, "--view-recipe", "none", "--resample", "fast")
    bad = sorted(parts.rglob("*.jpg"))[0]
    bad.write_bytes(bad.read_bytes()[:-2])
    written = ("--damaged", "warn", "--out", results, "--report", tmp_path / "a.html")
    run("classify", tiny_bundle_path, cache, parts, *written)
    run("report", results, "--cache", cache, "--out", tmp_path / "b.html")
    for name in ("a.html", "b.html"):
        page = open_page(tmp_path / name)
        assert page.texts(".row .badge.damaged") == ["damaged"]
        page.click(".row:has(.badge.damaged)")
        assert page.texts("#detail h2 .badge.damaged") == ["damaged"]
        facts = dict(zip(page.texts("#detail .facts th"), page.texts("#detail .facts td"), strict=True))
        assert "no part of the picture is missing" in facts["damaged"]
        assert "item" not in facts


_NEVER_THERE = (
    "svg, iframe, object, embed, base, link:not([rel=icon]), video, audio, form:not(#tools), math, "
    "a[href^=javascript], [onerror], [onload]"
)


def _hostile_set(folder: Path) -> Path:
    """Images and classes that bear the names, as a table of boxes, and a part that fails for each."""
    write_dataset(folder / "plain", families=("scratch", "pit"), per_class=1, size=(96, 128), seed=0)
    images = sorted((folder / "plain").rglob("*.jpg"))
    rows: list[list[object]] = [["image", "x1", "y1", "x2", "y2", "label"]]
    for number, name in enumerate(MARKUP):
        # A class needs another instance to be told from others.
        for copy in range(2):
            file = f"{copy}{name.replace('/', chr(0x2044))}.jpg"
            shutil.copy(images[(number + copy) % 2], folder / file)
            rows.append([file, 8 + number, 10, 40 + number, 50, name])
    rows.append(["gone" + MARKUP[0], 1, 2, 3, 4, MARKUP[1]])
    with (folder / "set.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return folder / "set.csv"


def test_markup_in_names_labels_and_paths_is_shown_and_never_run(
    open_page: Callable[[Path], Any], tiny_bundle_path: Path, tmp_path: Path
) -> None:
    """Through the commands: file names, classes, sources, paths, titles, errors and notes."""
    folder = tmp_path / MARKUP[2]
    folder.mkdir()
    table, cache = _hostile_set(folder), folder / f"{MARKUP[0]}.safetensors"
    views = ("--view-recipe", "none", "--resample", "fast")
    run("calibrate", tiny_bundle_path, table, "--out", cache, *views, code=1)
    results, recorded = tmp_path / "r.jsonl", tmp_path / "c.html"
    written = ("--out", results, "--csv", tmp_path / "r.csv", "--report", tmp_path / "a.html")
    run("classify", tiny_bundle_path, cache, table, *written, code=1)
    run(
        "evaluate", tiny_bundle_path, table, "--shots", 1, "--draws", 1, "--heads", "zip", "--no-keep", *views,
        "--report", tmp_path / "b.html", code=1,
    )  # fmt: skip
    run("report", results, "--out", recorded, "--cache", cache)

    for path in (tmp_path / "a.html", tmp_path / "b.html", recorded):
        page = open_page(path)
        before = page.js("return location.href.split('#')[0]")
        for _ in range(len(MARKUP)):
            page.key("j")
        for number in "1234":
            page.key(number)
            page.js(
                "document.querySelectorAll('*').forEach((e) => ['mouseover', 'focus', 'toggle'].forEach("
                "(name) => e.dispatchEvent(new Event(name, {bubbles: true}))))"
            )
        page.settle()
        assert page.js("return window.hacked") is None
        assert page.js("return location.href.split('#')[0]") == before
        assert page.js(f"return document.querySelectorAll('{_NEVER_THERE}').length") == 0
        assert page.js("return [...document.images].every((e) => e.src.startsWith('data:image/jpeg;base64,'))") is True
        assert "onerror=window.hacked=1" in page.js("return document.body.textContent")

    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert f"'{MARKUP[-1]}" in cells
    assert not any(cell.startswith(("=", "@", "\t", "\r")) for cell in cells)
