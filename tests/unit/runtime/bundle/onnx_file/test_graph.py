"""Nodes and weights of an ONNX file, read and written without the onnx library."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.bundle.onnx_file.graph import GraphChange, Node, OnnxFile
from mvrec_edge.runtime.bundle.onnx_file.protobuf import fields, integer_field, integers

onnx = pytest.importorskip("onnx", reason="onnx makes the graphs that are read")


def _model() -> onnx.ModelProto:
    helper = onnx.helper
    weights = [
        onnx.numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "w"),
        onnx.numpy_helper.from_array(np.array([0, -1, 3], np.int64), "shape"),
        onnx.numpy_helper.from_array(np.float16(1.5).reshape(()), "half"),
        onnx.numpy_helper.from_array(np.ones(2, np.int8), "bytes"),
        helper.make_tensor("brain", onnx.TensorProto.BFLOAT16, [1], b"\x80\x3f", raw=True),
        helper.make_tensor("plain", onnx.TensorProto.FLOAT, [2], [1.0, 2.0]),
        helper.make_tensor("plain bytes", onnx.TensorProto.INT8, [3], [-128, 0, 127]),
        helper.make_tensor("plain half", onnx.TensorProto.FLOAT16, [1], [1.0]),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"], name="first"),
        helper.make_node("Transpose", ["product"], ["turned"], perm=[1, 0]),
        helper.make_node("LayerNormalization", ["turned", "", "half"], ["y"], axis=-1, epsilon=0.25),
    ]
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 2])
    result = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [3, "n"])
    graph = helper.make_graph(nodes, "g", [value], [result], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def _save(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def test_reads_nodes_and_weights(tmp_path: Path) -> None:
    with OnnxFile(_save(tmp_path / "a.onnx", _model())) as file:
        assert [node.operator for node in file.nodes] == ["MatMul", "Transpose", "LayerNormalization"]
        assert file.nodes[0].inputs == ("x", "w")
        assert file.nodes[1].attributes == {"perm": (1, 0)}
        assert file.nodes[2].attributes == {"axis": -1, "epsilon": 0.25}
        assert file.nodes[2].inputs == ("turned", "", "half")
        assert file.shapes == {"w": (2, 3), "shape": (3,), "half": (), "bytes": (2,), "brain": (1,)} | {
            "plain": (2,),
            "plain bytes": (3,),
            "plain half": (1,),
        }
        np.testing.assert_array_equal(file.values("w"), np.arange(6, dtype=np.float32).reshape(2, 3))
        np.testing.assert_array_equal(file.values("shape"), [0, -1, 3])
        half = file.values("half")
        assert half is not None
        assert half.item() == 1.5
        np.testing.assert_array_equal(file.values("bytes"), [1, 1])
        np.testing.assert_array_equal(file.values("plain"), np.float32([1, 2]))
        np.testing.assert_array_equal(file.values("plain bytes"), np.int8([-128, 0, 127]))
        # Of a type that numpy lacks, spelt out in bits, not there.
        assert [file.values(name) for name in ("brain", "plain half", "nothing")] == [None] * 3


def test_writing_the_same_nodes_gives_the_same_model(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with OnnxFile(_save(tmp_path / "a.onnx", _model())) as file:
        file.write(stream, GraphChange(file.nodes))
    assert onnx.load_from_string(stream.getvalue()) == _model()


def test_new_nodes_weights_and_domains_are_what_onnx_would_write(tmp_path: Path) -> None:
    new = Node("Gelu", ("turned", "", "more"), ("y",), {"alpha": 1.5, "count": 3}, "com.example")
    weight = np.array([[1.0, -2.0]], np.float16)
    stream = io.BytesIO()
    with OnnxFile(_save(tmp_path / "a.onnx", _model())) as file:
        file.write(stream, GraphChange((*file.nodes[:2], new), {"more": weight}, {"com.example": 7}))
    got, want = onnx.load_from_string(stream.getvalue()), _model()
    del want.graph.node[2]
    node = onnx.helper.make_node("Gelu", ["turned", "", "more"], ["y"], name="make_y", domain="com.example")
    node.attribute.append(onnx.helper.make_attribute("alpha", 1.5))
    node.attribute.append(onnx.helper.make_attribute("count", 3))
    want.graph.node.append(node)
    want.graph.initializer.insert(0, onnx.numpy_helper.from_array(weight, "more"))
    want.opset_import.append(onnx.helper.make_opsetid("com.example", 7))
    assert got == want


def test_a_row_of_numbers_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="'perm'"):
        Node("Transpose", ("x",), ("y",), {"perm": (1, 0)}).to_bytes()


@given(st.integers(0, 2**63 - 1))
def test_numbers_come_back(number: int) -> None:
    data = integer_field(5, number)
    (field,) = fields(data, 0, len(data))
    assert (field.number, field.value, field.start, field.end) == (5, number, 0, len(data))
    assert integers(data, field) == [number]


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_noise_is_an_error_of_value_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "a.onnx"
    path.write_bytes(noise)
    with pytest.raises((ValueError, IndexError)):
        OnnxFile(path)
