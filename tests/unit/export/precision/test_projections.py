"""Three products instead of one, and the same embeddings."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the export stage needs PyTorch")
onnx = pytest.importorskip("onnx", reason="the export stage needs onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="the export stage needs ONNX Runtime")

from mvrec_edge.export.check import seeded_views  # noqa: E402
from mvrec_edge.export.precision.projections import separate_projections  # noqa: E402
from mvrec_edge.runtime import Bundle  # noqa: E402
from tests.conftest import TINY  # noqa: E402


@pytest.fixture
def traced(tiny_bundle: Bundle) -> Path:
    return tiny_bundle.graph("fp32")


def run(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"views": seeded_views(3, TINY.image_size, seed=0)})[0])


def test_computes_the_same_without_splits_and_scales(traced: Path) -> None:
    plain, separated = onnx.load(traced), onnx.load(traced)
    separate_projections(separated)
    onnx.checker.check_model(separated)
    before, after = (collections.Counter(node.op_type for node in model.graph.node) for model in (plain, separated))
    assert (before["Split"], after["Split"]) == (TINY.layers, 0)
    # Queries, keys and values in all blocks but the last, which has its query apart.
    assert after["MatMul"] - before["MatMul"] == 2 * (TINY.layers - 1) + 1
    assert before["Mul"] - after["Mul"] == TINY.layers - 1
    np.testing.assert_allclose(run(separated), run(plain), atol=1e-6 * np.abs(run(plain)).max())


def test_no_weight_is_left_over_or_missing(traced: Path) -> None:
    model = onnx.load(traced)
    separate_projections(model)
    names = [item.name for item in model.graph.initializer]
    assert len(names) == len(set(names))
    made = {name for node in model.graph.node for name in node.output} | {item.name for item in model.graph.input}
    assert {name for node in model.graph.node for name in node.input} - made == set(names)
    matrices = [
        sum(np.prod(item.dims) for item in graph.initializer if len(item.dims) == 2)
        for graph in (model.graph, onnx.load(traced).graph)
    ]
    assert matrices[0] == matrices[1]


def test_a_scale_that_would_round_stays(traced: Path) -> None:
    model = onnx.load(traced)
    scales = {node.input[1] for node in model.graph.node if node.op_type == "Mul" and "split" in node.input[0]}
    for item in model.graph.initializer:
        if item.name in scales:
            item.CopyFrom(onnx.numpy_helper.from_array(np.float32(0.1).reshape(item.dims or ()), item.name))
    plain = onnx.ModelProto.FromString(model.SerializeToString())
    separate_projections(model)
    count = collections.Counter(node.op_type for node in model.graph.node)["Mul"]
    assert count == collections.Counter(node.op_type for node in plain.graph.node)["Mul"]
    np.testing.assert_allclose(run(model), run(plain), atol=1e-6 * np.abs(run(plain)).max())
