"""Graphs that cut views, from the command line: export, inspect, verify, classify."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.commands import run

FILE = "encoder.fp32.views.onnx"


def test_export_and_inspect_show_them(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    from safetensors.torch import save_file

    from mvrec_edge.export import random_weights
    from tests.unit.export.conftest import SMALL

    save_file(random_weights(SMALL, seed=0).tensors, tmp_path / "small.safetensors")
    result = run("export", tmp_path / "small.safetensors", "--views-in-graph", "--out", tmp_path / "b", code=None)
    shown = json.loads(run("inspect", tmp_path / "b", "--json").stdout)
    assert result.returncode == 0
    assert shown["graphs"] == [f"fp32: encoder.fp32.onnx, encoder.fp32.weights, {FILE}"]
    plain, cutting = shown["certificate"]
    assert plain.startswith("fp32: cosine to PyTorch float32 1.0000000 at worst")
    assert cutting.startswith("fp32 with views cut in the graph: cosine to PyTorch float32 1.0000000 at worst")
    assert "24 views checked on a CPU, every bit that of the views that are cut on the CPU; elsewhere" in cutting
    assert cutting in result.stderr
    assert FILE in " ".join(shown["files"])


def test_verify_says_how_far_the_views_are(cutting_bundle_path: Path) -> None:
    for options in ((), ("--engine", "onnxruntime")):
        lines = run("verify", cutting_bundle_path, *options).stdout.splitlines()
        ours = [line for line in lines if line.startswith("onnxruntime")]
        assert [line.split()[:3] for line in ours] == [["onnxruntime", name, "pass"] for name in ("fp32", "fp16")]
        words = "views cut in the graph: at most 0 of 255 from the views that are cut on the CPU (limit 0)"
        assert all(line.endswith(words) for line in ours)
    verdicts = json.loads(run("verify", cutting_bundle_path, "--engine", "onnxruntime", "--json").stdout)["verdicts"]
    assert [verdict["cut_difference"] for verdict in verdicts] == [0, 0]


def test_a_cpu_goes_on_cutting_views_itself(cutting_bundle_path: Path, line: Path, tmp_path: Path) -> None:
    quick = ("--shots", 2, "--view-recipe", "ms")
    run("calibrate", cutting_bundle_path, line / "parts", *quick, "--out", tmp_path / "c.safetensors")
    result = run(
        "classify", cutting_bundle_path, tmp_path / "c.safetensors", line / "parts", "--out", tmp_path / "r.jsonl"
    )
    assert "views cut in the graph" not in result.stderr
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 12


@pytest.mark.parametrize("how", ["changed", "missing", "exchanged"])
def test_a_bundle_whose_graph_was_tampered_with_is_refused(cutting_bundle_path: Path, tmp_path: Path, how: str) -> None:
    copy = tmp_path / "b"
    shutil.copytree(cutting_bundle_path, copy)
    file = copy / FILE
    if how == "changed":
        data = bytearray(file.read_bytes())
        data[100] ^= 1
        file.write_bytes(data)
    elif how == "missing":
        file.unlink()
    else:
        shutil.copyfile(copy / "encoder.fp32.onnx", file)
    for command in (("verify", copy), ("inspect", copy)):
        assert FILE in run(*command, code=4).stderr
