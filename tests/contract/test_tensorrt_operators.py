"""TensorRT's parser is known to take every node of our graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvrec_edge.runtime import Bundle

onnx = pytest.importorskip("onnx", reason="onnx reads the graphs")

from tests.contract.tensorrt_operators import OPERATORS, unsupported_nodes  # noqa: E402

FLOAT, HALF, DOUBLE, UINT8, INT8, INT64 = (
    getattr(onnx.TensorProto, name) for name in ("FLOAT", "FLOAT16", "DOUBLE", "UINT8", "INT8", "INT64")
)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
def test_every_node_of_every_precision(precisions_bundle: Bundle, precision: str) -> None:
    path = precisions_bundle.graph(precision)
    assert unsupported_nodes(path) == []
    used = {node.op_type for node in onnx.load(path).graph.node}
    assert used >= {"Cast", "Conv", "MatMul", "LayerNormalization", "Softmax"}
    assert used <= set(OPERATORS)
    assert ("QuantizeLinear" in used) == (precision == "int8")


def test_the_table_holds_only_what_is_used(precisions_bundle: Bundle) -> None:
    graphs = [onnx.load(precisions_bundle.graph(precision)).graph for precision in precisions_bundle.precisions]
    assert {node.op_type for graph in graphs for node in graph.node} == set(OPERATORS)


def test_the_views_go_into_a_cast_only(precisions_bundle: Bundle) -> None:
    for precision in precisions_bundle.precisions:
        graph = onnx.load(precisions_bundle.graph(precision)).graph
        assert {node.op_type for node in graph.node if "views" in node.input} == {"Cast"}


def _written(
    folder: Path,
    nodes: list[Any],
    *,
    kind: int = FLOAT,
    out: int = FLOAT,
    constants: dict[str, np.ndarray] | None = None,
    opsets: dict[str, int] | None = None,
) -> Path:
    helper = onnx.helper
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, [2, 4])],
        [helper.make_tensor_value_info("y", out, None)],
        [onnx.numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    imports = [helper.make_opsetid(domain, version) for domain, version in (opsets or {"": 18}).items()]
    path = folder / "g.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=imports).SerializeToString())
    return path


def _node(*arguments: Any, **options: Any) -> Any:
    return onnx.helper.make_node(*arguments, name="n", **options)


SCALE = np.float32(0.5)


@pytest.mark.parametrize(
    ("nodes", "options", "complaints"),
    [
        ([_node("Softmax", ["x"], ["y"])], {}, []),
        ([_node("Softmax", ["x"], ["y"])], {"kind": HALF, "out": HALF}, []),
        ([_node("Softmax", ["x"], ["y"])], {"kind": DOUBLE, "out": DOUBLE}, ["Softmax 'n': takes DOUBLE from 'x'"]),
        ([_node("Einsum", ["x"], ["y"], equation="ij->ji")], {}, ["Einsum 'n': is not among the operators"]),
        (
            [_node("Gelu", ["x"], ["y"], domain="com.microsoft")],
            {"opsets": {"": 18, "com.microsoft": 1}},
            ["opset 1 of 'com.microsoft'", "Gelu 'n': is not among the operators"],
        ),
        ([_node("Cast", ["x"], ["y"], to=FLOAT)], {"kind": UINT8}, []),
        ([_node("Transpose", ["x"], ["y"])], {"kind": UINT8, "out": UINT8}, ["Transpose 'n': takes UINT8 from 'x'"]),
        ([_node("Cast", ["x"], ["y"], to=UINT8)], {"out": UINT8}, ["Cast 'n': casts to UINT8"]),
        (
            [_node("LayerNormalization", ["x", "w"], ["y", "mean"])],
            {"constants": {"w": np.ones(4, np.float32)}},
            ["LayerNormalization 'n': has an output beside the first"],
        ),
        (
            [_node("QuantizeLinear", ["x", "s", "z"], ["y"])],
            {"out": INT8, "constants": {"s": SCALE, "z": np.int8(0)}},
            [],
        ),
        (
            [_node("QuantizeLinear", ["x", "s", "z"], ["y"])],
            {"out": INT8, "constants": {"s": SCALE, "z": np.int8(3)}},
            ["QuantizeLinear 'n': has a zero point that is not a constant zero"],
        ),
        (
            [_node("QuantizeLinear", ["x", "s", "z"], ["y"])],
            {"out": UINT8, "constants": {"s": SCALE, "z": np.uint8(0)}},
            ["QuantizeLinear 'n': has a zero point of type UINT8"],
        ),
        (
            [_node("QuantizeLinear", ["x", "s"], ["y"])],
            {"out": UINT8, "constants": {"s": SCALE}},
            ["QuantizeLinear 'n': has no zero point of type INT8"],
        ),
        (
            [_node("DequantizeLinear", ["x", "s", "z"], ["y"])],
            {"kind": UINT8, "constants": {"s": SCALE, "z": np.uint8(0)}},
            ["DequantizeLinear 'n': takes UINT8 from 'x'", "DequantizeLinear 'n': has a zero point of type UINT8"],
        ),
        ([_node("DequantizeLinear", ["x", "s"], ["y"])], {"kind": INT8, "constants": {"s": SCALE}}, []),
        ([_node("Softmax", ["x"], ["y"])], {"opsets": {"": 21}}, ["opset 21 of 'ai.onnx'"]),
        ([_node("Softmax", ["x"], ["y"])], {"opsets": {"": 18, "com.microsoft": 1}}, ["opset 1 of 'com.microsoft'"]),
    ],
)
def test_what_is_not_taken(tmp_path: Path, nodes: list[Any], options: Any, complaints: list[str]) -> None:
    found = unsupported_nodes(_written(tmp_path, nodes, **options))
    assert len(found) == len(complaints)
    for line, start in zip(found, complaints, strict=True):
        assert line.startswith(start)


def test_uint8_within_the_network_is_not_taken(tmp_path: Path) -> None:
    nodes = [
        onnx.helper.make_node("Cast", ["x"], ["narrow"], name="a", to=UINT8),
        onnx.helper.make_node("Cast", ["narrow"], ["y"], name="b", to=FLOAT),
    ]
    assert unsupported_nodes(_written(tmp_path, nodes)) == [
        "Cast 'a': casts to UINT8",
        "Cast 'b': takes UINT8 from 'narrow', which is no input of the network",
    ]
