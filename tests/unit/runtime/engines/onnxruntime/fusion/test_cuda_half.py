"""Fused operators in a copy of the fp16 graph: the same embeddings, and nothing where the pattern is not there."""

from __future__ import annotations

import collections
import io
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the graphs are exported here")
pytest.importorskip("torch", reason="the graphs are exported here")
onnxruntime = pytest.importorskip("onnxruntime", reason="it runs the graphs")

from mvrec_edge.bench.workloads import noise_views  # noqa: E402
from mvrec_edge.export import export_bundle, random_weights  # noqa: E402
from mvrec_edge.runtime import Bundle  # noqa: E402
from mvrec_edge.runtime.bundle import EncoderArchitecture  # noqa: E402
from mvrec_edge.runtime.engines.onnxruntime.fusion import write_fused  # noqa: E402

LAYERS = 3
SMALL = EncoderArchitecture(56, 14, 128, LAYERS, 48)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("bundles") / "small.bundle"
    return export_bundle(random_weights(SMALL, 0), out, precisions=("fp32", "fp16"))


def run(graph: bytes) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"views": noise_views(3, SMALL.image_size)})[0])


def fused(path: Path) -> tuple[int, bytes]:
    stream = io.BytesIO()
    return write_fused(path, stream), stream.getvalue()


def test_computes_the_same_with_far_fewer_nodes(bundle: Bundle) -> None:
    plain = bundle.graph("fp16")
    count, graph = fused(plain)
    # The last block has one query, and stays as it is.
    assert count == LAYERS - 1
    kinds = collections.Counter(node.op_type for node in onnx.load_from_string(graph).graph.node)
    assert (kinds["Attention"], kinds["QuickGelu"], kinds["SkipLayerNormalization"]) == (2, 3, 4)
    assert kinds["Softmax"] == 1
    got, want = run(graph), run(plain.read_bytes())
    cosines = (got * want).sum(axis=1) / (np.linalg.norm(got, axis=1) * np.linalg.norm(want, axis=1))
    assert cosines.min() > 0.999999


def test_channels_as_large_as_those_of_trained_encoders_do_no_harm(bundle: Bundle, tmp_path: Path) -> None:
    """Trained CLIP encoders have a few channels in the hundreds in their residual stream."""
    model = onnx.load(bundle.graph("fp16"))
    for weight in model.graph.initializer:
        if weight.name == "encoder.positional_embedding":
            values = onnx.numpy_helper.to_array(weight).copy()
            values[:, [7, 100]] += np.float32([400.0, -150.0])
            weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    path = tmp_path / "large.onnx"
    path.write_bytes(model.SerializeToString())
    got, want = run(fused(path)[1]), run(path.read_bytes())
    cosines = (got * want).sum(axis=1) / (np.linalg.norm(got, axis=1) * np.linalg.norm(want, axis=1))
    assert cosines.min() > 0.99999


def test_a_float32_graph_is_left_alone(bundle: Bundle) -> None:
    assert fused(bundle.graph("fp32")) == (0, b"")


@pytest.mark.parametrize("change", ["perm", "scores read twice", "width"])
def test_what_is_not_the_pattern_is_left_alone(bundle: Bundle, tmp_path: Path, change: str) -> None:
    model = onnx.load(bundle.graph("fp16"))
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
    path = tmp_path / "other.onnx"
    path.write_bytes(model.SerializeToString())
    assert fused(path) == (0, b"")
