"""The typed graphs: which operations are narrow, and what they answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")
onnx = pytest.importorskip("onnx", reason="the export stage needs onnx")

from mvrec_edge.export import random_weights  # noqa: E402
from mvrec_edge.export.check import open_runner, reference_embeddings, seeded_views  # noqa: E402
from mvrec_edge.export.encoder import load_encoder  # noqa: E402
from mvrec_edge.export.graph_file import save_graph, weights_of  # noqa: E402
from mvrec_edge.export.precision.typed import NARROW_TYPES, narrow_products  # noqa: E402
from mvrec_edge.export.views_encoder import ViewsEncoder  # noqa: E402
from mvrec_edge.runtime.bundle import Bundle, limits_of  # noqa: E402
from mvrec_edge.runtime.bundle.screen import screen_onnx  # noqa: E402
from mvrec_edge.runtime.errors import EnvironmentUnfitError  # noqa: E402
from tests.conftest import TINY  # noqa: E402

FLOAT = onnx.TensorProto.FLOAT


@pytest.fixture(scope="module")
def module() -> ViewsEncoder:
    """What the float32 graph computes."""
    return ViewsEncoder(load_encoder(random_weights(TINY, seed=0)))


@pytest.fixture
def exact(tiny_bundle: Bundle) -> Path:
    """The float32 graph."""
    return tiny_bundle.graph("fp32")


def _typed(exact: Path, precision: str) -> onnx.ModelProto:
    model = onnx.load(exact)
    narrow_products(model, precision)
    return model


def _types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    return {item.name: item.type.tensor_type.elem_type for item in values} | {
        item.name: item.data_type for item in graph.initializer
    }


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_types_stand_in_the_graph(exact: Path, precision: str) -> None:
    """Products are narrow; LayerNorm, fp16's softmax, residual sums, patch embedding and projection are not."""
    model = _typed(exact, precision)
    onnx.checker.check_model(model, full_check=True)
    types = _types(model)
    narrow = NARROW_TYPES[precision]
    seen = []
    for node in model.graph.node:
        kinds = {types[name] for name in node.input if types.get(name) in (FLOAT, narrow)}
        if node.op_type == "MatMul":
            assert kinds == ({FLOAT} if "embedding" in node.output else {narrow})
        elif node.op_type in {"LayerNormalization", "Conv"}:
            assert kinds == {FLOAT}
        elif node.op_type == "Softmax":
            assert kinds == ({FLOAT} if precision == "fp16" else {narrow})
        elif node.op_type == "Sigmoid":
            assert kinds == {narrow}
        elif node.op_type == "Add":
            bias = any(types[name] == narrow for name in node.input)
            assert kinds == ({narrow} if bias else {FLOAT})
        seen.append(node.op_type)
    assert seen.count("MatMul") == 6 * TINY.layers + 2
    assert types["views"] == onnx.TensorProto.UINT8
    assert types["embedding"] == FLOAT


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_the_graph_is_half_as_large_and_holds_no_weight_twice(exact: Path, precision: str, tmp_path: Path) -> None:
    model = _typed(exact, precision)
    path = tmp_path / "a.onnx"
    save_graph(model, path)
    screen_onnx(path, weights_of(path))
    assert weights_of(path).stat().st_size < 0.6 * weights_of(exact).stat().st_size
    used = {name for node in model.graph.node for name in node.input}
    assert {item.name for item in model.graph.initializer} <= used


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_answers_are_close_and_not_the_same(exact: Path, module: ViewsEncoder, precision: str, tmp_path: Path) -> None:
    if precision == "bf16":
        pytest.importorskip("openvino", reason="bfloat16 products run in OpenVINO")
    graph = tmp_path / "a.onnx"
    graph.write_bytes(_typed(exact, precision).SerializeToString())
    views = seeded_views(4, 56, seed=3)
    wanted = reference_embeddings(module, views)
    with open_runner(graph, precision) as run:
        got = run(views).astype(np.float64)
    cosine = (got * wanted).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosine.min() >= limits_of(precision).cosine
    assert np.abs(got - wanted).max() > 1e-7


def test_bfloat16_rounds_to_nearest_even(exact: Path) -> None:
    """The same bits as PyTorch's conversion."""
    model = onnx.load(exact)
    weights = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    narrow_products(model, "bf16")
    checked = 0
    for item in model.graph.initializer:
        if item.data_type == onnx.TensorProto.BFLOAT16:
            wanted = torch.from_numpy(weights[item.name.removesuffix(".bf16")].copy()).bfloat16().view(torch.int16)
            assert np.frombuffer(item.raw_data, np.int16).tolist() == wanted.flatten().tolist()
            checked += 1
    assert checked >= 10


def test_a_weight_that_does_not_fit_is_refused(exact: Path) -> None:
    model = onnx.load(exact)
    product = next(node for node in model.graph.node if node.op_type == "MatMul")
    tensor = next(item for item in model.graph.initializer if item.name == product.input[1])
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0, 0] = 1e5
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    with pytest.raises(EnvironmentUnfitError, match=r"reaches 1e\+05, which fp16 cannot hold"):
        narrow_products(model, "fp16")


def test_the_same_graph_gives_the_same_bytes(exact: Path) -> None:
    assert _typed(exact, "fp16").SerializeToString() == _typed(exact, "fp16").SerializeToString()


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_shape_that_is_computed_stays_a_whole_number(precision: str) -> None:
    """onnxscript 0.6 computes the shape for a Reshape behind a product so."""
    helper = onnx.helper
    nodes = [
        helper.make_node("Cast", ["views"], ["x"], to=FLOAT),
        helper.make_node("Shape", ["x"], ["batch"], start=0, end=1),
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Concat", ["batch", "sides"], ["shape"], axis=0),
        helper.make_node("Reshape", ["product", "shape"], ["parts"]),
        helper.make_node("ReduceMean", ["parts"], ["embedding"], keepdims=0),
    ]
    weights = [
        onnx.numpy_helper.from_array(np.ones((4, 6), np.float32), "w"),
        onnx.numpy_helper.from_array(np.array([2, 3]), "sides"),
    ]
    views = helper.make_tensor_value_info("views", onnx.TensorProto.UINT8, ["n", 4])
    embedding = helper.make_tensor_value_info("embedding", FLOAT, [])
    graph = helper.make_graph(nodes, "g", [views], [embedding], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    narrow_products(model, precision)
    onnx.checker.check_model(model, full_check=True)
    types = _types(model)
    assert (types["product"], types["parts"]) == (NARROW_TYPES[precision],) * 2
    assert types["shape"] == onnx.TensorProto.INT64
