"""Unknown defects from the command line: calibrate with a rate, classify, inspect."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from mvrec_edge.runtime import SupportCache
from tests.e2e.commands import run


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, tiny_bundle_path: Path) -> Path:
    """A folder with rendered defects, and a cache that calls 50% of them unknown, so that some surely are."""
    from mvrec_edge.testing.dataset import write_dataset

    folder = tmp_path_factory.mktemp("unknown")
    write_dataset(folder / "parts", families=("scratch", "stain"), per_class=3, size=(240, 320), seed=0)
    arguments = ("--view-recipe", "ms", "--reject-rate", "50%", "--out", folder / "line.safetensors")
    result = run("calibrate", tiny_bundle_path, folder / "parts", *arguments)
    assert "unknown defects: a defect whose novelty is above " in result.stderr
    assert " is called unknown; about 50% of known defects will be, too; this limit is from the 6 " in result.stderr
    return folder


def test_records_say_unknown(line: Path, tiny_bundle_path: Path) -> None:
    cache = line / "line.safetensors"
    few = run("classify", tiny_bundle_path, cache, line / "parts", "--reject-rate", "0.01%").stdout
    for record in map(json.loads, few.splitlines()):
        assert record["unknown"] is False
        assert record["label"] == record["nearest_class"]
    records = [
        json.loads(text) for text in run("classify", tiny_bundle_path, cache, line / "parts").stdout.splitlines()
    ]
    for record in records:
        assert record["nearest_class"] in ("scratch", "stain")
        assert record["label"] == ("unknown" if record["unknown"] else record["nearest_class"])
        assert isinstance(record["novelty"], float)
    for text in run("classify", tiny_bundle_path, cache, line / "parts", "--views", "1").stdout.splitlines():
        record = json.loads(text)
        assert record["views"] == 1
        assert isinstance(record["novelty"], float)
        assert record["unknown"] in (True, False)


def test_inspect_prints_the_limits(line: Path) -> None:
    shown = run("inspect", line / "line.safetensors").stdout
    assert "unknown defects  a defect whose novelty is above " in shown
    assert " is called unknown; about 50% of known defects will be, too\n" in shown
    assert "from the 6 instances of all classes together" in shown


@pytest.mark.parametrize("rate", ["5", "0%", "many"])
def test_rates_that_are_none(line: Path, tiny_bundle_path: Path, tmp_path: Path, rate: str) -> None:
    cache = line / "line.safetensors"
    calibrate = run(
        "calibrate", tiny_bundle_path, line / "parts", "--reject-rate", rate, "--out", tmp_path / "a", code=2
    )
    classify = run("classify", tiny_bundle_path, cache, line / "parts", "--reject-rate", rate, code=2)
    for result in (calibrate, classify):
        assert "example: --reject-rate 5%" in result.stderr
    assert not (tmp_path / "a").exists()


def test_a_cache_that_cannot_serve_a_rate_says_so_before_anything_runs(
    line: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    alone = ("--shots", 1, "--view-recipe", "ms", "--out", tmp_path / "one")
    assert "nothing can be called unknown" in run("calibrate", tiny_bundle_path, line / "parts", *alone).stderr
    result = run("classify", tiny_bundle_path, tmp_path / "one", line / "parts", "--reject-rate", "5%", code=2)
    assert "single instance" in result.stderr
    result = run("calibrate", tiny_bundle_path, line / "parts", *alone, "--overwrite", "--reject-rate", "5%", code=3)
    assert "single instance" in result.stderr
    older = SupportCache.load(line / "line.safetensors").subset(range(6))
    older.save(tmp_path / "older")
    result = run("classify", tiny_bundle_path, tmp_path / "older", line / "parts", "--reject-rate", "5%", code=2)
    assert "calibrate again" in result.stderr
    record = json.loads(run("classify", tiny_bundle_path, tmp_path / "older", line / "parts").stdout.splitlines()[0])
    assert (record["novelty"], record["unknown"]) == (None, None)


def test_drift_windows_that_are_none(line: Path, tiny_bundle_path: Path) -> None:
    cache = line / "line.safetensors"
    result = run("classify", tiny_bundle_path, cache, line / "parts", "--drift-window", 3, code=2)
    assert "10 to 100,000 regions" in result.stderr


def test_evaluate_leaves_each_class_out(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 4)
    looks = 3 + np.eye(8)[:3, None]
    tensors = {
        "support_embeddings": (looks[labels] + 0.02 * generator.standard_normal((12, 2, 8))).astype(np.float32),
        "support_labels": labels,
    }
    features = tmp_path / "features.safetensors"
    features.write_bytes(safetensors.numpy.save(tensors, metadata={"class_names": json.dumps(["a", "b", "c"])}))
    arguments = ("--features", features, "--shots", "1,3", "--draws", 2, "--heads", "zip")
    result = run("evaluate", *arguments, "--unknown", "--reject-rate", "10%", "--out", tmp_path / "out")
    assert "AUROC / FPR95" in result.stdout
    assert "at a wanted false-reject rate of 10%:" in result.stdout
    written = json.loads((tmp_path / "out" / "unknown.json").read_text())
    assert written["reject_rate"] == 0.1
    novelty = next(row for row in written["results"] if (row["score"], row["shots"]) == ("novelty", 3))
    assert novelty["auroc"] == 1
    assert set(novelty["left_out"]) == {"a", "b", "c"}
    assert "| novelty | " in (tmp_path / "out" / "unknown.md").read_text()
    assert (tmp_path / "out" / "evaluation.json").is_file()
    run("evaluate", *arguments, "--out", tmp_path / "plain")
    assert not (tmp_path / "plain" / "unknown.json").exists()
    assert "not a rate" in run("evaluate", *arguments, "--unknown", "--reject-rate", "many", code=2).stderr
