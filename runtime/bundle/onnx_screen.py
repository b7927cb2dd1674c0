"""Looks through an ONNX file for what must not reach an engine, without the onnx library.

An ONNX file is a protocol buffer. Two of its features are refused: tensors kept in other files, which would
let a model read any file the process can read, and operators of foreign domains, which would run custom code.
Field numbers are those of `onnx.proto3` in the ONNX specification.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

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

_Span = tuple[int, int]


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
        for field, span, _ in self.fields((0, len(self.data))):
            if field == _MODEL_GRAPH:
                graphs += 1
                self.graph(span, 0)
            elif field == _MODEL_FUNCTIONS:
                raise self.refuse("defines functions of its own")
            elif field == _MODEL_OPSET:
                for inner, text, _ in self.fields(span):
                    if inner == _OPSET_DOMAIN:
                        self.domain(text)
        if graphs != 1:
            raise ValueError("no graph")

    def graph(self, span: _Span, depth: int) -> None:
        if depth > _MOST_NESTED:
            raise self.refuse("is nested too deeply")
        for field, part, _ in self.fields(span):
            if field == _GRAPH_INITIALIZER:
                self.tensor(part)
            elif field == _GRAPH_SPARSE:
                raise self.refuse("holds sparse tensors")
            elif field == _GRAPH_NODE:
                for inner, value, _ in self.fields(part):
                    if inner == _NODE_DOMAIN:
                        self.domain(value)
                    elif inner == _NODE_ATTRIBUTE:
                        self.attribute(value, depth)

    def attribute(self, span: _Span, depth: int) -> None:
        for field, value, _ in self.fields(span):
            if field in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                self.tensor(value)
            elif field in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                self.graph(value, depth + 1)

    def tensor(self, span: _Span) -> None:
        for field, _, number in self.fields(span):
            if field == _TENSOR_EXTERNAL or (field == _TENSOR_LOCATION and number != 0):
                raise self.refuse("keeps tensors in another file")

    def domain(self, span: _Span) -> None:
        name = self.data[span[0] : span[1]].decode(errors="replace")
        if name not in _ALLOWED_DOMAINS:
            raise self.refuse(f"uses operators of the domain {name[:64]!r}")

    def fields(self, span: _Span) -> Iterator[tuple[int, _Span, int]]:
        """Yields (field number, span of a length-delimited value, value of a varint) of one message."""
        position, end = span
        while position < end:
            tag, position = self.varint(position, end)
            field, wire = tag >> 3, tag & 7
            if wire == 0:
                number, position = self.varint(position, end)
                yield field, (position, position), number
                continue
            if wire == 2:
                length, position = self.varint(position, end)
            elif wire in (1, 5):
                length = 8 if wire == 1 else 4
            else:
                raise ValueError("wire type")
            if position + length > end:
                raise ValueError("length")
            yield field, (position, position + length), 0
            position += length

    def varint(self, position: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if position >= end:
                raise ValueError("varint")
            byte = self.data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
        raise ValueError("varint")
