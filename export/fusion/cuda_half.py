"""Puts ONNX Runtime's fused CUDA operators into an exported fp16 graph.

The bundle's graph consists of standard operators, which every engine reads, and which ONNX Runtime does not fuse by
itself: the scores of attention would go to memory and back three times in float32. Its own operators compute the same:

- `Attention`: the projection to queries, keys and values with its bias, and fused attention over all heads. Sums and
  softmax are float32 inside, and nothing of the size of the scores is written.
- `SkipLayerNormalization`: a bias, the sum with the residual stream, and LayerNorm with statistics in float32. The
  residual stream is float16 between blocks, as CLIP's released code has it on GPUs: 10 bits of every channel, whatever
  the size of the others.
- `QuickGelu`: `x * sigmoid(alpha x)`.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from mvrec_edge.export.fusion.patterns import Patterns, attribute, fused_node, need

__all__ = ["fuse_attention"]

_FLOAT, _FLOAT16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
# What a value's name gets that is float16 here and float32 in the graph as exported.
_NARROW = ".narrow"
_HEADS_FIRST, _KEYS_TURNED = [0, 2, 1, 3], [0, 2, 3, 1]


def fuse_attention(model: onnx.ModelProto, folder: Path) -> int:
    """Puts fused operators where a graph has the pattern of our own export, in place; the rest stays as it is.

    Args:
        model: An fp16 graph; its weights may lie beside it.
        folder: Where they lie.

    Returns:
        How many attentions were fused; with 0 the graph is as it was.
    """
    fusion = _Fusion(model, folder)
    count = fusion.run()
    if count:
        fusion.apply()
    return count


class _Fusion(Patterns):
    def __init__(self, model: onnx.ModelProto, folder: Path) -> None:
        super().__init__(model, folder)
        # The sums of the residual stream that are float16 now.
        self.narrow: set[str] = set()

    def run(self) -> int:
        fused = sum(self.tried(self.attention, node) for node in self.nodes if node.op_type == "Softmax")
        if fused:
            for node in self.nodes:
                if node.op_type == "Sigmoid":
                    self.tried(self.quick_gelu, node)
                elif node.op_type == "Add":
                    self.tried(self.residual_norm, node)
        return fused

    def attention(self, softmax: onnx.NodeProto) -> None:
        """From the projection to queries, keys and values to the heads put side by side again."""
        above = self.chain(softmax.input[0], "Cast", "MatMul")
        below = self.follow(softmax.output[0], "Cast", "MatMul", "Transpose", "Reshape")
        scores, attended, back, joined = above[-1], *below[1:]
        query_way = self.chain(scores.input[0], "Transpose", "Reshape", "Mul")
        key_way = self.chain(scores.input[1], "Transpose", "Reshape")
        value_way = self.chain(attended.input[1], "Transpose", "Reshape")
        thirds = tuple(way[-1].input[0] for way in (query_way, key_way, value_way))
        split, bias, product = self.chain(thirds[0], "Split", "Add", "MatMul")
        turns = tuple(attribute(node, "perm") for node in (query_way[0], key_way[0], value_way[0], back))
        heads, size = self.heads(query_way[1])
        width = heads * size
        need(
            attended.input[0] == below[0].output[0]
            and tuple(split.output) == thirds
            and all(self.reader(third) for third in thirds)
            and attribute(split, "axis") in (2, -1)
            and turns == (_HEADS_FIRST, _KEYS_TURNED, _HEADS_FIRST, _HEADS_FIRST)
            and self.heads(key_way[1]) == self.heads(value_way[1]) == (heads, size)
            and self.shapes.get(bias.input[1]) == (3 * width,)
            and self.shapes.get(product.input[1]) == (width, 3 * width)
            and self.whole_numbers(joined.input[1])[-1:] == (width,)
        )
        gone = [product, bias, split, *query_way, *key_way, *value_way, *above, softmax, *below]
        inputs = (product.input[0], product.input[1], bias.input[1])
        scale = self.scalar(query_way[2].input[1])
        self.replace(gone, fused_node("Attention", inputs, joined.output, num_heads=heads, scale=scale))

    def quick_gelu(self, sigmoid: onnx.NodeProto) -> None:
        """`x * sigmoid(alpha x)`."""
        (scaled,) = self.chain(sigmoid.input[0], "Mul")
        (result,) = self.follow(sigmoid.output[0], "Mul")
        need(tuple(result.input) == (scaled.input[0], sigmoid.output[0]))
        node = fused_node("QuickGelu", scaled.input[:1], result.output, alpha=self.scalar(scaled.input[1]))
        self.replace([scaled, sigmoid, result], node)

    def residual_norm(self, total: onnx.NodeProto) -> None:
        """A product's bias, the sum with the residual stream, and the LayerNorm that reads the sum."""
        widened, bias = self.chain(total.input[1], "Cast", "Add")
        readers = self.readers(total.output[0])
        norms = [node for node in readers if node.op_type == "LayerNormalization"]
        # The other reader is the next sum; the last block takes single tokens out, and stays as it is.
        need(len(norms) == 1 and all(node.op_type != "Slice" for node in readers))
        (norm,) = norms
        (narrowed,) = self.follow(norm.output[0], "Cast")
        epsilon = attribute(norm, "epsilon")
        need(
            isinstance(epsilon, float)
            and attribute(norm, "axis") == -1
            and attribute(widened, "to") == _FLOAT
            and attribute(narrowed, "to") == _FLOAT16
            and len(self.shapes.get(bias.input[1], ())) == 1
        )
        scale, shift = (self.half(name) for name in norm.input[1:3])
        inputs = (bias.input[0], total.input[0] + _NARROW, scale, shift, bias.input[1])
        outputs = (narrowed.output[0], "", "", total.output[0] + _NARROW)
        self.narrow.add(total.output[0])
        node = fused_node("SkipLayerNormalization", inputs, outputs, epsilon=epsilon)
        self.replace([bias, widened, total, norm, narrowed], node)

    def new_nodes(self) -> list[onnx.NodeProto]:
        """All nodes in order, with casts where the residual stream changes its type."""
        found: list[onnx.NodeProto] = []
        made: set[str] = set(self.weights)
        for node in super().new_nodes():
            for name in node.input:
                if name in made:
                    continue
                if name in self.narrow:
                    found.append(fused_node("Cast", (name + _NARROW,), (name,), domain="", to=_FLOAT))
                elif name.endswith(_NARROW):
                    wide = (name.removesuffix(_NARROW),)
                    found.append(fused_node("Cast", wide, (name,), domain="", to=_FLOAT16))
                made.add(name)
            found.append(node)
            made.update(node.output)
        return found

    def heads(self, reshape: onnx.NodeProto) -> tuple[int, int]:
        """Number and size of the heads that a reshape takes apart."""
        shape = self.whole_numbers(reshape.input[1])
        need(len(shape) == 4)
        return shape[2], shape[3]

    def whole_numbers(self, name: str) -> tuple[int, ...]:
        values = self.values(name, np.int64)
        need(values.ndim == 1)
        return tuple(int(value) for value in values)

    def scalar(self, name: str) -> float:
        values = self.values(name, np.float16)
        need(values.size == 1)
        return float(values.item())

    def half(self, name: str) -> str:
        """Scale or shift of a LayerNorm in float16, to which its result is rounded in any case."""
        self.weights[name + _NARROW] = self.values(name, np.float32).astype(np.float16)
        return name + _NARROW
