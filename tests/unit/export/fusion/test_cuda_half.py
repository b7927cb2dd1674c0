"""Fused operators over the weights of the fp16 graph: the same embeddings, and nothing without the pattern."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the graphs are exported here")
pytest.importorskip("torch", reason="the graphs are exported here")
onnxruntime = pytest.importorskip("onnxruntime", reason="it runs the graphs")

from mvrec_edge.bench.workloads import noise_views  # noqa: E402
from mvrec_edge.export.fusion import fuse_attention  # noqa: E402
from mvrec_edge.export.graph_file import load_graph, load_outline  # noqa: E402
from mvrec_edge.runtime import Bundle  # noqa: E402
from tests.conftest import TINY  # noqa: E402


@pytest.fixture
def bundle(half_bundle: Bundle) -> Bundle:
    return half_bundle


def run(graph: Path | bytes) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    source = graph if isinstance(graph, bytes) else str(graph)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"views": noise_views(3, TINY.image_size)})[0])


def test_computes_the_same_with_far_fewer_nodes(bundle: Bundle) -> None:
    path, record = bundle.variant("fp16", "onnxruntime-cuda") or pytest.fail("it is listed")
    # The last block has one query, and stays as it is.
    assert record.summary == f"{TINY.layers - 1} fused attentions"
    kinds = collections.Counter(node.op_type for node in load_outline(path).graph.node)
    assert (kinds["Attention"], kinds["QuickGelu"], kinds["SkipLayerNormalization"]) == (2, 3, 4)
    assert kinds["Softmax"] == 1
    got, want = run(path), run(bundle.graph("fp16"))
    cosines = (got * want).sum(axis=1) / (np.linalg.norm(got, axis=1) * np.linalg.norm(want, axis=1))
    assert cosines.min() > 0.999999
    assert record.engine == "onnxruntime on the CPU"
    assert min(check.worst_cosine for check in record.checks) > 0.9995


def test_channels_as_large_as_those_of_trained_encoders_do_no_harm(bundle: Bundle) -> None:
    """Trained CLIP encoders have a few channels in the hundreds in their residual stream."""
    model = load_graph(bundle.graph("fp16"))
    for weight in model.graph.initializer:
        if weight.name == "encoder.positional_embedding":
            values = onnx.numpy_helper.to_array(weight).copy()
            values[:, [7, 100]] += np.float32([400.0, -150.0])
            weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    want = run(model.SerializeToString())
    assert fuse_attention(model, bundle.path) == TINY.layers - 1
    got = run(model.SerializeToString())
    cosines = (got * want).sum(axis=1) / (np.linalg.norm(got, axis=1) * np.linalg.norm(want, axis=1))
    assert cosines.min() > 0.99999


def test_a_float32_graph_is_left_alone(bundle: Bundle) -> None:
    model = load_outline(bundle.graph("fp32"))
    before = model.SerializeToString()
    assert fuse_attention(model, bundle.path) == 0
    assert model.SerializeToString() == before


@pytest.mark.parametrize("change", ["perm", "scores read twice", "width"])
def test_what_is_not_the_pattern_is_left_alone(bundle: Bundle, change: str) -> None:
    model = load_outline(bundle.graph("fp16"))
    nodes = model.graph.node
    for node in list(nodes):
        if change == "perm" and node.op_type == "Transpose":
            for attribute in node.attribute:
                if list(attribute.ints) == [0, 2, 3, 1]:
                    attribute.ints[:] = [0, 2, 1, 3]
        elif change == "scores read twice" and node.op_type == "Softmax":
            nodes.append(onnx.helper.make_node("Identity", [node.output[0]], [f"{node.output[0]}.again"]))
        elif change == "width" and node.op_type == "Split":
            node.attribute[0].i = 1
    before = model.SerializeToString()
    assert fuse_attention(model, bundle.path) == 0
    assert model.SerializeToString() == before
