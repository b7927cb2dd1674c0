"""`--report` as a user types it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mvrec_edge.runtime import SupportCache
from tests.e2e.commands import run


def read(path: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def pictures(path: Path, kind: str) -> set[int]:
    found = re.findall(rf'<script type="application/json" id="{kind}-\d+">(.*?)</script>', path.read_text(), re.DOTALL)
    return {int(key) for text in found for key in json.loads(text)}


def test_calibrate_keeps_a_picture_of_every_instance(line: Path) -> None:
    cache = SupportCache.load(line / "line.safetensors")
    assert len(cache.thumbnails) == 6
    assert all(cache.thumbnails)
    assert "of 6 instances, for reports" in run("inspect", line / "line.safetensors").stdout


def test_classify_writes_a_report_of_what_it_says(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "results.jsonl", tmp_path / "report.html"
    (line / "parts" / "pit" / "Imgs" / "bad.jpg").write_text("no image")
    (line / "parts" / "pit" / "Imgs" / "bad.png").write_text("no mask")
    result = run(
        "classify", tiny_bundle_path, line / "line.safetensors", line / "parts", "--out", out, "--report", page, code=1
    )
    (line / "parts" / "pit" / "Imgs" / "bad.jpg").unlink()
    (line / "parts" / "pit" / "Imgs" / "bad.png").unlink()
    assert f"report: {page}, 12 regions" in result.stderr
    records = [json.loads(text) for text in out.read_text().splitlines()]
    said = [record for record in records if "error" not in record]
    data = read(page)
    for region, record in zip(data["regions"], said, strict=True):
        assert region["image"] == record["image"]
        assert region["label"] == record["label"]
        assert region["annotated"] == record["annotated"]
        assert region["p"] == pytest.approx(list(record["probabilities"].values()), abs=1e-4)
        assert [data["support"][near[0]]["source"] for near in region["near"]] == [
            item["source"] for item in record["nearest"]
        ]
    assert pictures(page, "crop") == pictures(page, "views") == set(range(12))
    assert pictures(page, "support") == set(range(6))
    assert len(data["problems"]) == len(records) - len(said) == 1
    assert any("random weights" in note for note in data["notes"])
    details = {name: value for section in data["details"] for name, value in section["rows"]}
    assert details["bundle"] == tiny_bundle_path.name
    assert details["cache"] == "line.safetensors"
    assert details["views used"] == "all"
    assert sum(data["times"].values()) > 0


def test_a_report_is_not_replaced_by_chance(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("mine")
    arguments = ("classify", tiny_bundle_path, line / "line.safetensors", line / "parts" / "pit", "--report", page)
    result = run(*arguments, code=6)
    assert "exists already" in result.stderr
    assert result.stdout == ""
    assert page.read_text() == "mine"
    run(*arguments, "--overwrite")
    assert len(read(page)["regions"]) == 4


def test_the_report_of_a_resumed_run_holds_all_images(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "results.jsonl", tmp_path / "report.html"
    arguments = ("classify", tiny_bundle_path, line / "line.safetensors", line / "parts", "--out", out)
    run(*arguments)
    out.write_bytes(b"".join(out.read_bytes().splitlines(keepends=True)[:-1]))
    run(*arguments, "--resume", "--report", page)
    data = read(page)
    assert len(data["regions"]) == 12
    assert pictures(page, "crop") == pictures(page, "views") == set(range(12))
    assert "Read from records, with boxes for outlines and no place on the map: 11 regions." in data["notes"]


def test_a_cache_without_pictures_makes_a_report_too(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    import dataclasses

    old, page = tmp_path / "old.safetensors", tmp_path / "report.html"
    dataclasses.replace(SupportCache.load(line / "line.safetensors"), thumbnails=()).save(old)
    result = run("classify", tiny_bundle_path, old, line / "parts" / "pit", "--report", page)
    assert "holds no pictures of its instances; calibrate again" in result.stderr
    assert pictures(page, "support") == set()


def test_evaluate_reports_the_first_draw(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    page = tmp_path / "out" / "report.html"
    arguments = ("evaluate", tiny_bundle_path, line / "parts", "--shots", "1,3", "--draws", 2, "--heads", "zip,zip-c")
    result = run(*arguments, "--store", tmp_path / "store", "--out", tmp_path / "out", "--report", page)
    data = read(page)
    assert f"report: {page}, 3 regions" in result.stderr
    assert len(data["support"]) == 9
    drawn = {item["source"] for item in data["support"]}
    assert all(region["source"] not in drawn for region in data["regions"])
    assert pictures(page, "support") == set(range(9))
    assert pictures(page, "crop") == {0, 1, 2}
    assert all(region["annotated"] == Path(region["image"]).parts[-3] for region in data["regions"])
    details = {name: value for section in data["details"] for name, value in section["rows"]}
    assert details["shots"] == "3 of each class, seed 0"
    assert details["head"].startswith("zip, ")
    assert any("One draw of the evaluation: 3 shots, seed 0, head 'zip'" in note for note in data["notes"])
    alone = run(*arguments[:3], "--shots", 3, "--draws", 1, "--heads", "zip", "--store", tmp_path / "store")
    right = sum(region["label"] == region["annotated"] for region in data["regions"])
    assert alone.stdout.splitlines()[1].split()[:5] == ["3", "zip", "1", "3", f"{100 * right / 3:.2f}"]


def test_evaluate_with_queries_of_their_own(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    arguments = ("evaluate", tiny_bundle_path, line / "parts", "--query", line / "parts", "--shots", 2, "--draws", 1)
    run(*arguments, "--heads", "auto", "--store", tmp_path / "store", "--report", page)
    data = read(page)
    # Twelve, less the two shots of each of three classes: a shot does not ask about itself.
    assert len(data["regions"]) == 6
    assert "auto" in data["notes"][-1]


def test_a_report_of_features_is_refused(tmp_path: Path) -> None:
    result = run("evaluate", "--features", "f.safetensors", "--report", tmp_path / "report.html", code=2)
    assert "leave out --report" in result.stderr
