"""Whether TensorRT's ONNX parser should take a graph, from its documentation.

A graph is exported on one machine and its plan built on another, where a refusal costs a walk to the line. This finds
the refusals that can be read from the graph: operators, element types, restrictions. Source: `docs/operators.md` of
github.com/onnx/onnx-tensorrt in the edition for TensorRT 10.15; the one for 10.3 was not at hand, and the change log
names nothing between the two that concerns these operators with these types.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from mvrec_edge.export.graph_file import load_outline

__all__ = ["OPERATORS", "OPSETS", "unsupported_nodes"]

_FLOAT = frozenset({"FLOAT", "FLOAT16", "BFLOAT16"})
_NUMBER = _FLOAT | {"INT32", "INT64"}
_ANY = _NUMBER | {"BOOL"}

#: The operators of our graphs, and the element types that may go into them.
OPERATORS: dict[str, frozenset[str]] = {
    "Add": _NUMBER,
    "Cast": _ANY | {"UINT8"},
    "Concat": _ANY,
    "Conv": _FLOAT,
    "DequantizeLinear": frozenset({"INT8"}),
    "Expand": _ANY,
    "Gather": _ANY,
    "LayerNormalization": _FLOAT,
    "MatMul": _FLOAT,
    "Mul": _NUMBER,
    "QuantizeLinear": _FLOAT,
    "Reshape": _ANY,
    "Shape": _ANY,
    "Sigmoid": _FLOAT,
    "Slice": _ANY,
    "Softmax": _FLOAT,
    "Split": _ANY,
    "Transpose": _ANY,
}

#: The first and the last opset that every release of TensorRT 10 takes.
OPSETS = (9, 20)

#: Their other inputs are indices, shapes or scales.
_FIRST_INPUT = frozenset({"DequantizeLinear", "Expand", "Gather", "QuantizeLinear", "Reshape", "Slice", "Split"})

#: Larger tensors are not read: their values decide nothing here.
_LARGEST_READ = 1 << 16


def unsupported_nodes(path: Path) -> list[str]:
    """Lists what TensorRT's parser is not known to take.

    Args:
        path: An ONNX file; its weights may lie beside it.

    Returns:
        A line for each, with the node's name and the reason; empty where all is supported.
    """
    model = load_outline(path)
    zeros = {tensor.name: _is_zero(tensor, path.parent) for tensor in model.graph.initializer}
    found = [
        f"opset {entry.version} of '{entry.domain or 'ai.onnx'}': TensorRT takes ai.onnx {OPSETS[0]} to {OPSETS[1]}"
        for entry in model.opset_import
        if entry.domain not in ("", "ai.onnx") or not OPSETS[0] <= entry.version <= OPSETS[1]
    ]
    types = _types(model)
    inputs = {value.name for value in model.graph.input}
    for node in model.graph.node:
        reasons = _complaints(node, types, zeros, inputs)
        found.extend(f"{node.op_type} '{node.name}': {reason}" for reason in reasons)
    return found


def _complaints(
    node: onnx.NodeProto, types: dict[str, str], zeros: dict[str, bool | None], inputs: set[str]
) -> list[str]:
    allowed = OPERATORS.get(node.op_type)
    if allowed is None or node.domain not in ("", "ai.onnx"):
        return ["is not among the operators that were looked up"]
    reasons = []
    names = [name for name in node.input if name]
    for name in names[:1] if node.op_type in _FIRST_INPUT else names:
        kind = types.get(name, "an unknown type")
        if kind not in allowed:
            reasons.append(f"takes {kind} from '{name}'")
        elif kind == "UINT8" and name not in inputs:
            reasons.append(f"takes UINT8 from '{name}', which is no input of the network")
    if node.op_type == "Cast" and types.get(node.output[0]) not in _ANY:
        reasons.append(f"casts to {types.get(node.output[0], 'an unknown type')}")
    if node.op_type == "LayerNormalization" and any(node.output[1:]):
        reasons.append("has an output beside the first")
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        reasons.extend(_zero_point_complaints(node, types, zeros))
    return reasons


def _zero_point_complaints(node: onnx.NodeProto, types: dict[str, str], zeros: dict[str, bool | None]) -> list[str]:
    zero_point = node.input[2] if len(node.input) > 2 else ""
    if not zero_point:
        # Without one, the quantised type is uint8, which TensorRT does not quantise to.
        return ["has no zero point of type INT8"] if node.op_type == "QuantizeLinear" else []
    if types.get(zero_point) != "INT8":
        return [f"has a zero point of type {types.get(zero_point, 'unknown')}"]
    return [] if zeros.get(zero_point) else ["has a zero point that is not a constant zero"]


def _is_zero(tensor: TensorProto, folder: Path) -> bool | None:
    """Whether all values are zero; None for a tensor that is too large to be a zero point."""
    if math.prod(tensor.dims) > _LARGEST_READ:
        return None
    return not np.any(numpy_helper.to_array(tensor, base_dir=str(folder)))


def _types(model: onnx.ModelProto) -> dict[str, str]:
    """The element type of every tensor. Drops the weights of `model`: types do not depend on them."""
    for tensor in model.graph.initializer:
        if tensor.ByteSize() > _LARGEST_READ:
            tensor.ClearField("raw_data")
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {tensor.name: int(tensor.data_type) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = int(value.type.tensor_type.elem_type)
    return {name: TensorProto.DataType.Name(kind) for name, kind in types.items()}
