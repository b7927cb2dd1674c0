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

from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.onnx_file.graph import Node, OnnxFile

__all__ = ["write_fused"]

_DOMAIN, _VERSION = "com.microsoft", 1
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
            file.write(stream, fusion.nodes(), fusion.weights, {_DOMAIN: _VERSION})
        return count


class _NoMatchError(Exception):
    """The nodes at hand are not the pattern."""


#: Takes a node that only its pattern has; gives the nodes that go, the last one where the new node stands, and that.
_Pattern = Callable[[Node], tuple[list[Node], Node]]


class _Fusion:
    def __init__(self, file: OnnxFile) -> None:
        self.file = file
        self.weights: dict[str, npt.NDArray[np.float16]] = {}
        self.maker = {name: node for node in file.nodes for name in node.outputs}
        self.readers: dict[str, list[Node]] = {}
        for node in file.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)
        # What stands in the place of a node, by its identity.
        self.replaced: dict[int, list[Node]] = {}
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

    def tried(self, pattern: _Pattern, node: Node) -> bool:
        try:
            gone, new = pattern(node)
        except _NoMatchError:
            return False
        self.replaced |= {id(item): [] for item in gone[:-1]} | {id(gone[-1]): [new]}
        return True

    def attention(self, softmax: Node) -> tuple[list[Node], Node]:
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
        _need(
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
        return gone, Node("Attention", inputs, joined.outputs, attributes, _DOMAIN)

    def quick_gelu(self, sigmoid: Node) -> tuple[list[Node], Node]:
        """`x * sigmoid(alpha x)`."""
        (scaled,) = self.chain(sigmoid.inputs[0], "Mul")
        (result,) = self.follow(sigmoid.outputs[0], "Mul")
        _need(result.inputs == (scaled.inputs[0], sigmoid.outputs[0]))
        attributes = {"alpha": self.scalar(scaled.inputs[1])}
        return [scaled, sigmoid, result], Node("QuickGelu", scaled.inputs[:1], result.outputs, attributes, _DOMAIN)

    def residual_norm(self, total: Node) -> tuple[list[Node], Node]:
        """A product's bias, the sum with the residual stream, and the LayerNorm that reads the sum."""
        widened, bias = self.chain(total.inputs[1], "Cast", "Add")
        readers = self.readers.get(total.outputs[0], [])
        norms = [node for node in readers if node.operator == "LayerNormalization"]
        # The other reader is the next sum; the last block takes single tokens out, and stays as it is.
        _need(len(norms) == 1 and all(node.operator != "Slice" for node in readers))
        (norm,) = norms
        (narrowed,) = self.follow(norm.outputs[0], "Cast")
        epsilon = norm.attributes.get("epsilon")
        _need(
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
        node = Node("SkipLayerNormalization", inputs, outputs, {"epsilon": epsilon or 0.0}, _DOMAIN)
        return [bias, widened, total, norm, narrowed], node

    def nodes(self) -> list[Node]:
        """All nodes in order, with casts where the residual stream changes its type."""
        found: list[Node] = []
        made: set[str] = set(self.weights)
        for place in self.file.nodes:
            for node in self.replaced.get(id(place), [place]):
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

    def reader(self, name: str) -> Node:
        """The only node that reads a value."""
        readers = self.readers.get(name, [])
        _need(len(readers) == 1)
        return readers[0]

    def chain(self, name: str, *operators: str) -> list[Node]:
        """The nodes that lead to a value, the last first, each result with one reader."""
        found: list[Node] = []
        for operator in operators:
            self.reader(name)
            node = self.maker.get(name)
            if node is None or node.operator != operator:
                raise _NoMatchError
            found.append(node)
            name = node.inputs[0]
        return found

    def follow(self, name: str, *operators: str) -> list[Node]:
        """The nodes that a value goes through, each result with one reader."""
        found = []
        for operator in operators:
            node = self.reader(name)
            _need(node.operator == operator)
            found.append(node)
            name = node.outputs[0]
        return found

    def heads(self, reshape: Node) -> tuple[int, int]:
        """Number and size of the heads that a reshape takes apart."""
        shape = self.whole_numbers(reshape.inputs[1])
        _need(len(shape) == 4)
        return shape[2], shape[3]

    def whole_numbers(self, name: str) -> tuple[int, ...]:
        values = self.file.values(name)
        if values is None or values.dtype != np.int64 or values.ndim != 1:
            raise _NoMatchError
        return tuple(int(value) for value in values)

    def scalar(self, name: str) -> float:
        values = self.file.values(name)
        if values is None or values.dtype != np.float16 or values.size != 1:
            raise _NoMatchError
        return float(values.item())

    def half(self, name: str) -> str:
        """Scale or shift of a LayerNorm in float16, to which its result is rounded in any case."""
        values = self.file.values(name)
        if values is None or values.dtype != np.float32:
            raise _NoMatchError
        self.weights[name + _NARROW] = values.astype(np.float16)
        return name + _NARROW


def _need(condition: bool) -> None:
    if not condition:
        raise _NoMatchError
