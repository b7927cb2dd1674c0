"""`classify --recentre` from the command line: what it says, what records say, and what a run that goes on needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.commands import run


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, tiny_bundle_path: Path) -> Path:
    """A folder with rendered defects, and caches of three shots and of two."""
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("recentring")
    write_dataset(folder / "parts", families=("scratch", "stain"), per_class=4, size=(240, 320), seed=0)
    for shots in (3, 2):
        arguments = (
            "--view-recipe",
            "ms",
            "--shots",
            shots,
            "--head",
            "zip-w",
            "--out",
            folder / f"{shots}.safetensors",
        )
        run("calibrate", tiny_bundle_path, folder / "parts", *arguments)
    return folder


def test_records_and_closing_lines_say_what_it_changed(line: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    command = ("classify", tiny_bundle_path, line / "3.safetensors", line / "parts")
    result = run(*command, "--recentre", "--out", tmp_path / "a.jsonl", "--csv", tmp_path / "a.csv")
    assert "the centre has moved by 0." in result.stderr
    assert "of 8 decisions differ from those about the support's centre" in result.stderr
    records = [json.loads(text) for text in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert len(records) == 8
    assert records[0]["recentred"]["moved"] == 0
    assert 0 < records[-1]["recentred"]["moved"] <= 1
    assert {record["recentred"]["fixed_class"] for record in records} <= {"scratch", "stain"}
    assert all(record["run"]["recentre"] is True for record in records)
    fixed = [json.loads(text) for text in run(*command).stdout.splitlines()]
    assert [record["nearest_class"] for record in fixed] == [record["recentred"]["fixed_class"] for record in records]
    assert all("recentred" not in record and "recentre" not in record["run"] for record in fixed)
    # A run that goes on has to follow the line as well.
    assert "recentre" in run(*command, "--resume", "--out", tmp_path / "a.jsonl", code=6).stderr
    run(*command, "--recentre", "--resume", "--out", tmp_path / "a.jsonl")


def test_what_cannot_follow_is_refused_before_anything_runs(line: Path, tiny_bundle_path: Path) -> None:
    two = run("classify", tiny_bundle_path, line / "2.safetensors", line / "parts", "--recentre", code=2)
    assert "the class 'scratch' has 2 instances, and it takes 3 of every class" in two.stderr
    some = ("--recentre", "--views", "auto")
    assert (
        "give --views all"
        in run("classify", tiny_bundle_path, line / "3.safetensors", line / "parts", *some, code=2).stderr
    )
