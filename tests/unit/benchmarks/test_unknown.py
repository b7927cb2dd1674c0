"""The benchmark of unknown defects runs with a bundle, and judges its bounds by the novelty alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mvrec_edge.calib import UnknownResult


def test_with_a_bundle(
    benchmark_module: Callable[[str], ModuleType],
    tiny_bundle_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = ["--families", "scratch,stain,pit", "--per-class", "3", "--shots", "1,2", "--draws", "1"]
    out = tmp_path / "unknown_rendered.json"
    monkeypatch.setattr(
        "sys.argv",
        ["unknown.py", "--bundle", str(tiny_bundle_path), *arguments, "--heads", "zip", "--out", str(out)],
    )
    benchmark_module("unknown").main()
    figures = json.loads(out.read_text())["figures"]
    assert figures["class_names"] == ["pit", "scratch", "stain"]
    assert "bounds" not in figures
    assert {row["score"] for row in figures["results"]} == {"novelty", "centred cosine", "cosine", "confidence of zip"}
    assert "3 rendered images of each of scratch,stain,pit" in out.with_suffix(".md").read_text()


def test_bounds(benchmark_module: Callable[[str], ModuleType]) -> None:
    def result(score: str, shots: int, value: float) -> UnknownResult:
        return UnknownResult(score, shots, *(np.full((4, 5), value) for _ in range(4)))

    results = [
        result("novelty", 1, 0.1),
        result("novelty", 3, 0.96),
        result("novelty", 5, 0.97),
        result("cosine", 5, 1),
    ]
    judged = benchmark_module("unknown")._judge(results, {3: 0.95, 5: 0.98})
    assert [(bound["figure"], bound["reached"]) for bound in judged] == [(0.96, True), (0.97, False)]
