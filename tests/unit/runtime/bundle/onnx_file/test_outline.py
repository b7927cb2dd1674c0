"""A model without its large weights is the same model once they are put back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime.bundle.onnx_file.graph import GraphChange, Node
from mvrec_edge.runtime.bundle.onnx_file.outline import Outline, outline_with_inputs, outline_with_references

onnx = pytest.importorskip("onnx", reason="onnx makes the graphs")

LARGE = {
    "float": np.arange(40_000, dtype=np.float32).reshape(200, 200),
    "half": np.arange(40_000, dtype=np.float16).reshape(100, 20, 20),
    "bytes": (np.arange(80_000) % 251).astype(np.int8).reshape(2, 40_000),
}


def _model() -> onnx.ModelProto:
    helper = onnx.helper
    weights = [onnx.numpy_helper.from_array(values, name) for name, values in LARGE.items()]
    weights.append(onnx.numpy_helper.from_array(np.ones(3, np.float32), "small"))
    # Large, but not as raw bytes, so it stays.
    weights.append(helper.make_tensor("spelt out", onnx.TensorProto.FLOAT, [20_000], [0.5] * 20_000))
    nodes = [helper.make_node("MatMul", ["x", "float"], ["y"])]
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 200])
    result = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 200])
    graph = helper.make_graph(nodes, "g", [value], [result], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "a.onnx"
    file.write_bytes(_model().SerializeToString())
    return file


def stored(path: Path, outline: Outline) -> dict[str, np.ndarray]:
    """The weights as they lie in the file."""
    data = path.read_bytes()
    found = {}
    for weight in outline.weights:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(weight.kind)
        found[weight.name] = np.frombuffer(data[weight.begin : weight.end], dtype).reshape(weight.shape)
    return found


def test_every_large_weight_is_found_where_it_lies(path: Path) -> None:
    found = stored(path, outline_with_inputs(path))
    assert list(found) == list(LARGE)
    for name, values in LARGE.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_inputs_take_the_place_of_large_weights(path: Path) -> None:
    outline = outline_with_inputs(path)
    assert len(outline.model) < 100_000
    model = onnx.load_from_string(outline.model)
    onnx.checker.check_model(model)
    assert [item.name for item in model.graph.initializer] == ["small", "spelt out"]
    inputs = {item.name: item for item in model.graph.input}
    assert set(inputs) == {"x", *LARGE}
    for name, values in LARGE.items():
        tensor = inputs[name].type.tensor_type
        assert onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type) == values.dtype
        assert tuple(side.dim_value for side in tensor.shape.dim) == values.shape
    want = _model().graph
    assert model.graph.node == want.node
    assert model.graph.output == want.output


def test_references_give_the_whole_model_again(path: Path) -> None:
    outline = outline_with_references(path)
    file = path.with_name("outline.onnx")
    file.write_bytes(outline.model)
    assert len(outline.model) < 100_000
    assert onnx.load(file).graph.node == _model().graph.node
    got = {item.name: onnx.numpy_helper.to_array(item) for item in onnx.load(file).graph.initializer}
    want = {item.name: onnx.numpy_helper.to_array(item) for item in _model().graph.initializer}
    assert list(got) == list(want)
    for name, values in want.items():
        np.testing.assert_array_equal(got[name], values)


def test_a_change_comes_along(path: Path) -> None:
    nodes = (Node("Gelu", ("x",), ("z",), {}, "com.example"), Node("MatMul", ("z", "float"), ("y",)))
    change = GraphChange(nodes, {"more": np.float32([7.0])}, {"com.example": 3})
    file = path.with_name("outline.onnx")
    file.write_bytes(outline_with_references(path, change).model)
    model = onnx.load(file)
    assert [node.op_type for node in model.graph.node] == ["Gelu", "MatMul"]
    assert {item.domain: item.version for item in model.opset_import} == {"": 18, "com.example": 3}
    got = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    assert set(got) == {"more", *LARGE, "small", "spelt out"}
    np.testing.assert_array_equal(got["more"], [7.0])
    np.testing.assert_array_equal(got["float"], LARGE["float"])


def test_what_is_no_model_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"\xff" * 40)
    with pytest.raises(ValueError, match="varint"):
        outline_with_inputs(tmp_path / "a.onnx")
