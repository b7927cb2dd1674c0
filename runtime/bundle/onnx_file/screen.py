"""Looks through an ONNX file for what must not reach an engine, without the onnx library.

An ONNX file is a protocol buffer. Two of its features are refused: tensors kept in other files, which would
let a model read any file the process can read, and operators of foreign domains, which would run custom code.
Field numbers are those of `onnx.proto3` in the ONNX specification.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from mvrec_edge.runtime.bundle.onnx_file.protobuf import Field, fields
from mvrec_edge.runtime.errors import IntegrityError

__all__ = ["screen_onnx"]

_ALLOWED_DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})

_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTIONS = 7, 8, 25
_OPSET_DOMAIN = 1
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE, _NODE_DOMAIN = 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_MOST_NESTED = 8


def screen_onnx(path: Path) -> None:
    """Refuses an ONNX file with external data, foreign operators, local functions or sparse tensors.

    Only lengths are followed, so the cost depends on the number of nodes, not on the size of the weights.

    Raises:
        IntegrityError: The file is not a well-formed protocol buffer, or holds something refused.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _Screen(data, path).model()
    except (ValueError, IndexError) as error:
        raise IntegrityError("is not a well-formed ONNX file", where=path, fix="export the bundle again") from error


class _Screen:
    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data = data
        self.path = path

    def refuse(self, what: str) -> IntegrityError:
        return IntegrityError(f"the graph {what}, which is not allowed", where=self.path, fix="export the bundle again")

    def model(self) -> None:
        graphs = 0
        for part in fields(self.data, 0, len(self.data)):
            if part.number == _MODEL_GRAPH:
                graphs += 1
                self.graph(part, 0)
            elif part.number == _MODEL_FUNCTIONS:
                raise self.refuse("defines functions of its own")
            elif part.number == _MODEL_OPSET:
                for inner in self.inside(part):
                    if inner.number == _OPSET_DOMAIN:
                        self.domain(inner)
        if graphs != 1:
            raise ValueError("no graph")

    def graph(self, graph: Field, depth: int) -> None:
        if depth > _MOST_NESTED:
            raise self.refuse("is nested too deeply")
        for part in self.inside(graph):
            if part.number == _GRAPH_INITIALIZER:
                self.tensor(part)
            elif part.number == _GRAPH_SPARSE:
                raise self.refuse("holds sparse tensors")
            elif part.number == _GRAPH_NODE:
                for inner in self.inside(part):
                    if inner.number == _NODE_DOMAIN:
                        self.domain(inner)
                    elif inner.number == _NODE_ATTRIBUTE:
                        self.attribute(inner, depth)

    def attribute(self, attribute: Field, depth: int) -> None:
        for part in self.inside(attribute):
            if part.number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                self.tensor(part)
            elif part.number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                self.graph(part, depth + 1)

    def tensor(self, tensor: Field) -> None:
        for part in self.inside(tensor):
            if part.number == _TENSOR_EXTERNAL or (part.number == _TENSOR_LOCATION and part.value != 0):
                raise self.refuse("keeps tensors in another file")

    def domain(self, text: Field) -> None:
        name = self.data[text.begin : text.end].decode(errors="replace")
        if name not in _ALLOWED_DOMAINS:
            raise self.refuse(f"uses operators of the domain {name[:64]!r}")

    def inside(self, message: Field) -> Iterator[Field]:
        if message.value is not None:
            raise ValueError("a number where a message belongs")
        return fields(self.data, message.begin, message.end)
