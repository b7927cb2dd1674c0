"""The benchmark of what a human looks at runs on features, in both directions, and with a bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import safetensors.numpy

from mvrec_edge.testing.dataset import write_dataset


def test_on_features(
    benchmark_module: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.repeat(np.arange(2), 12)
    values = np.eye(8)[labels][:, None] + 0.1 * np.random.default_rng(0).standard_normal((24, 2, 8))
    tensors = {
        f"{part}_{name}": value
        for part in ("support", "query")
        for name, value in (("embeddings", values.astype(np.float32)), ("labels", labels))
    }
    features, out = tmp_path / "f.safetensors", tmp_path / "review.json"
    features.write_bytes(safetensors.numpy.save(tensors, metadata={"class_names": json.dumps(["a", "b"])}))
    options = ["--shots", "6,99", "--draws", "2", "--heads", "zip-c", "--right-at-least", "0.8,0.95"]
    monkeypatch.setattr("sys.argv", ["review.py", "--features", str(features), *options, "--out", str(out)])
    benchmark_module("review").main()
    tables = json.loads(out.read_text())["figures"]["tables"]
    assert [table["right_at_least"] for table in tables] == [0.8, 0.95, 0.8, 0.95]
    assert tables[0]["data"] != tables[2]["data"]
    assert [row["shots"] for row in tables[0]["results"]] == [6]
    assert tables[0]["results"][0]["to_review"] < 0.5
    assert tables[1]["results"][0]["to_review"] == 1


def test_with_a_bundle(
    benchmark_module: Callable[[str], ModuleType],
    tiny_bundle_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_dataset(tmp_path / "parts", families=("scratch", "stain"), per_class=3, size=(240, 320), seed=0)
    out = tmp_path / "review.json"
    options = ["--labelled", str(tmp_path / "parts"), "--shots", "2", "--draws", "1", "--heads", "zip"]
    arguments = ["review.py", "--bundle", str(tiny_bundle_path), *options, "--out", str(out)]
    monkeypatch.setattr("sys.argv", arguments)
    benchmark_module("review").main()
    figures = json.loads(out.read_text())["figures"]
    assert [table["right_at_least"] for table in figures["tables"]] == [0.7, 0.8, 0.9, 0.95]
    assert figures["tables"][0]["data"] == "parts"
