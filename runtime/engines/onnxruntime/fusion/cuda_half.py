"""Puts ONNX Runtime's fused CUDA operators into an exported fp16 graph, in a copy made when it is opened.

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
from typing import IO

import numpy as np

from mvrec_edge.runtime.bundle.onnx_file.graph import Node, OnnxFile
from mvrec_edge.runtime.engines.onnxruntime.fusion.patterns import DOMAIN, Patterns, need

__all__ = ["write_fused"]

_FLOAT, _FLOAT16 = 1, 10
# What a value's name gets that is float16 here and float32 in the file.
_NARROW = ".narrow"
_HEADS_FIRST, _KEYS_TURNED = (0, 2, 1, 3), (0, 2, 3, 1)


def write_fused(path: Path, stream: IO[bytes]) -> int:
    """Writes a graph with fused operators where it has the pattern of our own export; elsewhere it stays as it is.

    Args:
        path: An fp16 graph that has been screened.
        stream: Where to.

    Returns:
        How many attentions were fused; with 0 nothing is written.

    Raises:
        ValueError: The file is not a well-formed protocol buffer.
    """
    with OnnxFile(path) as file:
        fusion = _Fusion(file)
        count = fusion.run()
        if count:
            file.write(stream, fusion.change())
        return count


class _Fusion(Patterns):
    def __init__(self, file: OnnxFile) -> None:
        super().__init__(file)
        # The sums of the residual stream that are float16 now.
        self.narrow: set[str] = set()

    def run(self) -> int:
        fused = sum(self.tried(self.attention, node) for node in self.file.nodes if node.operator == "Softmax")
        if fused:
            for node in self.file.nodes:
                if node.operator == "Sigmoid":
                    self.tried(self.quick_gelu, node)
                elif node.operator == "Add":
                    self.tried(self.residual_norm, node)
        return fused

    def attention(self, softmax: Node) -> None:
        """From the projection to queries, keys and values to the heads put side by side again."""
        above = self.chain(softmax.inputs[0], "Cast", "MatMul")
        below = self.follow(softmax.outputs[0], "Cast", "MatMul", "Transpose", "Reshape")
        scores, attended, back, joined = above[-1], *below[1:]
        query_way = self.chain(scores.inputs[0], "Transpose", "Reshape", "Mul")
        key_way = self.chain(scores.inputs[1], "Transpose", "Reshape")
        value_way = self.chain(attended.inputs[1], "Transpose", "Reshape")
        thirds = tuple(way[-1].inputs[0] for way in (query_way, key_way, value_way))
        split, bias, product = self.chain(thirds[0], "Split", "Add", "MatMul")
        turns = tuple(node.attributes.get("perm") for node in (query_way[0], key_way[0], value_way[0], back))
        heads, size = self.heads(query_way[1])
        width = heads * size
        need(
            attended.inputs[0] == below[0].outputs[0]
            and split.outputs == thirds
            and all(self.reader(third) for third in thirds)
            and split.attributes.get("axis") in (2, -1)
            and turns == (_HEADS_FIRST, _KEYS_TURNED, _HEADS_FIRST, _HEADS_FIRST)
            and self.heads(key_way[1]) == self.heads(value_way[1]) == (heads, size)
            and self.file.shapes.get(bias.inputs[1]) == (3 * width,)
            and self.file.shapes.get(product.inputs[1]) == (width, 3 * width)
            and self.whole_numbers(joined.inputs[1])[-1:] == (width,)
        )
        gone = [product, bias, split, *query_way, *key_way, *value_way, *above, softmax, *below]
        inputs = (product.inputs[0], product.inputs[1], bias.inputs[1])
        attributes = {"num_heads": heads, "scale": self.scalar(query_way[2].inputs[1])}
        self.replace(gone, Node("Attention", inputs, joined.outputs, attributes, DOMAIN))

    def quick_gelu(self, sigmoid: Node) -> None:
        """`x * sigmoid(alpha x)`."""
        (scaled,) = self.chain(sigmoid.inputs[0], "Mul")
        (result,) = self.follow(sigmoid.outputs[0], "Mul")
        need(result.inputs == (scaled.inputs[0], sigmoid.outputs[0]))
        attributes = {"alpha": self.scalar(scaled.inputs[1])}
        node = Node("QuickGelu", scaled.inputs[:1], result.outputs, attributes, DOMAIN)
        self.replace([scaled, sigmoid, result], node)

    def residual_norm(self, total: Node) -> None:
        """A product's bias, the sum with the residual stream, and the LayerNorm that reads the sum."""
        widened, bias = self.chain(total.inputs[1], "Cast", "Add")
        readers = self.readers(total.outputs[0])
        norms = [node for node in readers if node.operator == "LayerNormalization"]
        # The other reader is the next sum; the last block takes single tokens out, and stays as it is.
        need(len(norms) == 1 and all(node.operator != "Slice" for node in readers))
        (norm,) = norms
        (narrowed,) = self.follow(norm.outputs[0], "Cast")
        epsilon = norm.attributes.get("epsilon")
        need(
            isinstance(epsilon, float)
            and norm.attributes.get("axis") == -1
            and widened.attributes.get("to") == _FLOAT
            and narrowed.attributes.get("to") == _FLOAT16
            and len(self.file.shapes.get(bias.inputs[1], ())) == 1
        )
        scale, shift = (self.half(name) for name in norm.inputs[1:3])
        inputs = (bias.inputs[0], total.inputs[0] + _NARROW, scale, shift, bias.inputs[1])
        outputs = (narrowed.outputs[0], "", "", total.outputs[0] + _NARROW)
        self.narrow.add(total.outputs[0])
        node = Node("SkipLayerNormalization", inputs, outputs, {"epsilon": epsilon or 0.0}, DOMAIN)
        self.replace([bias, widened, total, norm, narrowed], node)

    def nodes(self) -> list[Node]:
        """All nodes in order, with casts where the residual stream changes its type."""
        found: list[Node] = []
        made: set[str] = set(self.weights)
        for node in super().nodes():
            for name in node.inputs:
                if name in made:
                    continue
                if name in self.narrow:
                    found.append(Node("Cast", (name + _NARROW,), (name,), {"to": _FLOAT}))
                elif name.endswith(_NARROW):
                    found.append(Node("Cast", (name.removesuffix(_NARROW),), (name,), {"to": _FLOAT16}))
                made.add(name)
            found.append(node)
            made.update(node.outputs)
        return found

    def heads(self, reshape: Node) -> tuple[int, int]:
        """Number and size of the heads that a reshape takes apart."""
        shape = self.whole_numbers(reshape.inputs[1])
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
