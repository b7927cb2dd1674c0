"""Writes the precision of every operation into a float32 graph: float16 or bfloat16 where it is safe.

Matrix products and convolutions, and what stands directly between them, run in the narrow type. LayerNorm, softmax (in
fp16), the residual stream, the first convolution and the final projection stay float32: CLIP's residual stream holds
channels that are hundreds of times larger than the others, and a sum or a variance over them in float16 is where naive
conversions of it break; the folded first convolution has weights near the subnormals of float16.

The types stand in the graph itself, as casts and typed weights, so that every engine computes the same thing and none
decides for itself.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["NARROW_TYPES", "narrow_products"]

#: ONNX element type of each typed precision.
NARROW_TYPES = {"fp16": onnx.TensorProto.FLOAT16, "bf16": onnx.TensorProto.BFLOAT16}

_FLOAT = onnx.TensorProto.FLOAT
# Run in the type of what they are given; the last three only move elements.
_FOLLOWING = frozenset({"Mul", "Sigmoid", "Clip", "Split", "Reshape", "Transpose"})
# Between two bfloat16 products a bfloat16 softmax loses nothing more: it has the range of float32, engines sum in
# float32 inside, and its input and output are rounded to bfloat16 either way. float16 has no such range.
_FOLLOWING_IN = {"fp16": _FOLLOWING, "bf16": _FOLLOWING | {"Softmax"}}
_LARGEST: dict[int, float] = {onnx.TensorProto.FLOAT16: 65504.0, onnx.TensorProto.BFLOAT16: 3.0e38}


def narrow_products(model: onnx.ModelProto, precision: str) -> None:
    """Turns a float32 graph into a typed one, in place.

    Args:
        model: The graph that `trace_graph` wrote. Its weights are let go one by one as they are converted.
        precision: `"fp16"` or `"bf16"`.

    Raises:
        EnvironmentUnfitError: A weight does not fit the type, or the graph convolves in bfloat16, which ONNX does not
            know in the version of operators that the graph has.
        KeyError: There is no such typed precision.
    """
    _Narrowing(model.graph, NARROW_TYPES[precision], precision).run()


class _Narrowing:
    """One pass over a graph whose nodes stand in order; keeps the type that every value has by now."""

    def __init__(self, graph: onnx.GraphProto, narrow: int, precision: str) -> None:
        self.graph = graph
        self.narrow = narrow
        self.precision = precision
        self.weights = {item.name: item for item in graph.initializer}
        self.floats = {name for name, item in self.weights.items() if item.data_type == _FLOAT}
        self.types: dict[str, int] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.cast_names: dict[tuple[str, int], str] = {}
        self.converted: dict[str, onnx.TensorProto] = {}
        self.outputs = {item.name for item in graph.output}
        # What the convolution makes that reads the pixels.
        self.first = next((node.output[0] for node in graph.node if node.op_type == "Conv"), "")

    def run(self) -> None:
        for node in self.graph.node:
            wanted = self._type_of(node)
            if wanted is not None:
                for place, name in enumerate(node.input):
                    node.input[place] = self._as(name, wanted)
                for name in node.output:
                    self.types[name] = wanted
            self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        self._replace_weights()

    def _type_of(self, node: onnx.NodeProto) -> int | None:
        """The float type a node computes in; None where it has nothing to do with floats."""
        kinds = [self.types.get(name) for name in node.input]
        if node.op_type == "Shape":
            # Whole numbers, of whatever it is the shape; older tracers compute the shapes for Reshape so.
            return None
        if node.op_type == "MatMul":
            # The projection at the end is the embedding itself, and costs nothing.
            return _FLOAT if self.outputs & set(node.output) else self.narrow
        if node.op_type == "Conv" and node.output[0] != self.first:
            if self.narrow == onnx.TensorProto.BFLOAT16:
                raise EnvironmentUnfitError(
                    f"the {self.precision} graph cannot be written: ONNX has no convolution in {self.precision} here",
                    fix=f"leave {self.precision} out; fp16 and int8 can be had",
                )
            return self.narrow
        if node.op_type in _FOLLOWING_IN[self.precision] and kinds and kinds[0] == self.narrow:
            return self.narrow
        # A bias belongs to its product; any other sum is the residual stream.
        if node.op_type == "Add" and kinds[0] == self.narrow and node.input[1] in self.floats:
            return self.narrow
        if node.op_type == "Cast":
            self.types[node.output[0]] = next(item.i for item in node.attribute if item.name == "to")
            return None
        if any(name in self.floats or self.types.get(name) is not None for name in node.input):
            return _FLOAT
        return None

    def _as(self, name: str, wanted: int) -> str:
        """A value in the wanted type: itself, a converted weight, or what a cast gives."""
        if name in self.floats:
            return name if wanted == _FLOAT else self._weight(name)
        present = self.types.get(name)
        if present is None or present == wanted or name == "":
            return name
        key = (name, wanted)
        if key not in self.cast_names:
            cast = f"{name}.{'float' if wanted == _FLOAT else self.precision}"
            self.nodes.append(helper.make_node("Cast", [name], [cast], to=wanted))
            self.cast_names[key] = cast
            self.types[cast] = wanted
        return self.cast_names[key]

    def _weight(self, name: str) -> str:
        narrow_name = f"{name}.{self.precision}"
        if narrow_name not in self.converted:
            values = numpy_helper.to_array(self.weights[name])
            largest = float(np.abs(values).max(initial=0.0))
            if not largest <= _LARGEST[self.narrow]:
                raise EnvironmentUnfitError(
                    f"the weight '{name}' reaches {largest:.3g}, which {self.precision} cannot hold",
                    fix="leave this precision out",
                )
            if self.narrow == onnx.TensorProto.FLOAT16:
                self.converted[narrow_name] = numpy_helper.from_array(values.astype(np.float16), narrow_name)
            else:
                self.converted[narrow_name] = _bfloat16(values, narrow_name)
        return narrow_name

    def _replace_weights(self) -> None:
        used = {name for node in self.graph.node for name in node.input}
        kept = [item for item in self.graph.initializer if item.name in used]
        wanted = [*kept, *self.converted.values()]
        del self.graph.initializer[:]
        self.graph.initializer.extend(wanted)


def _bfloat16(values: np.ndarray, name: str) -> onnx.TensorProto:
    """Rounds to the nearest bfloat16, ties to even, which is the upper half of a float32."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return helper.make_tensor(name, onnx.TensorProto.BFLOAT16, values.shape, rounded.astype("<u2").tobytes(), raw=True)
