"""The nodes and weights of an ONNX file, and the same file with other nodes.

Weights are neither decoded nor held in memory: only their places in the file are kept. Field numbers are those of
`onnx.proto3` in the ONNX specification.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy.typing as npt

from mvrec_edge.runtime.bundle.onnx_file.protobuf import Field, bytes_field, fields, header, integer_field, integers
from mvrec_edge.runtime.bundle.onnx_file.tensors import DTYPES, raw_tensor, read_elements, read_weight

__all__ = ["GraphChange", "Node", "OnnxFile"]

_MODEL_GRAPH, _MODEL_OPSET = 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 3, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_FLOAT, _ATTRIBUTE_INTEGER, _ATTRIBUTE_INTEGERS, _ATTRIBUTE_TYPE = 1, 2, 3, 8, 20
_TYPE_FLOAT, _TYPE_INTEGER = 1, 2

Attribute = int | float | tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        operator: Such as `"MatMul"`.
        inputs: Names of values, in order; an empty one is left out.
        outputs: The same.
        attributes: Numbers and rows of whole numbers by name; others are kept in `raw` alone.
        domain: Whose operator it is; empty for ONNX's own.
        raw: Its bytes in the file; empty for a node that was made here.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    domain: str = ""
    raw: bytes = b""

    def to_bytes(self) -> bytes:
        """Its message; that of the file where it came from one."""
        if self.raw:
            return self.raw
        parts = [bytes_field(_NODE_INPUT, name.encode()) for name in self.inputs]
        parts += [bytes_field(_NODE_OUTPUT, name.encode()) for name in self.outputs]
        # Named by what it makes, which is unique.
        parts += [bytes_field(_NODE_NAME, f"make_{self.outputs[0]}".encode())]
        parts += [bytes_field(_NODE_OPERATOR, self.operator.encode())]
        parts += [bytes_field(_NODE_ATTRIBUTE, _attribute_bytes(*item)) for item in self.attributes.items()]
        parts += [bytes_field(_NODE_DOMAIN, self.domain.encode())] if self.domain else []
        return b"".join(parts)


@dataclass(frozen=True)
class GraphChange:
    """What a graph differs in from that of a file.

    Attributes:
        nodes: All its nodes, each after those whose outputs it reads.
        weights: Further weights by name.
        domains: Versions of further operator sets by domain.
    """

    nodes: tuple[Node, ...]
    weights: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    domains: Mapping[str, int] = field(default_factory=dict)

    #: The field of a graph that is left out of the file's, since the nodes are all here.
    replaced_field = _GRAPH_NODE

    def graph_bytes(self) -> bytes:
        """Its nodes and further weights, as fields of a graph."""
        nodes = [bytes_field(_GRAPH_NODE, node.to_bytes()) for node in self.nodes]
        weights = [bytes_field(_GRAPH_INITIALIZER, _weight_bytes(*item)) for item in self.weights.items()]
        return b"".join(nodes + weights)

    def model_bytes(self) -> bytes:
        """Its further operator sets, as fields of a model."""
        sets = (
            bytes_field(_OPSET_DOMAIN, domain.encode()) + integer_field(_OPSET_VERSION, version)
            for domain, version in self.domains.items()
        )
        return b"".join(bytes_field(_MODEL_OPSET, one) for one in sets)


class OnnxFile:
    """An ONNX file that has been screened, open for reading. A context manager.

    Args:
        path: The file.

    Attributes:
        nodes: In the order of the file.
        shapes: Of the weights, by name.

    Raises:
        ValueError: It is not a well-formed protocol buffer.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as stream:
            self._data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._model = list(fields(self._data, 0, len(self._data)))
        (self._graph,) = (part for part in self._model if part.number == _MODEL_GRAPH)
        self._parts = list(fields(self._data, self._graph.begin, self._graph.end))
        self.nodes = tuple(self._node(part) for part in self._parts if part.number == _GRAPH_NODE)
        self._weights: dict[str, Field] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for part in self._parts:
            if part.number == _GRAPH_INITIALIZER:
                weight = read_weight(self._data, part)
                self._weights[weight.name], self.shapes[weight.name] = part, weight.shape

    def __enter__(self) -> OnnxFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._data.close()

    def values(self, name: str) -> npt.NDArray[Any] | None:
        """A copy of a weight; None where there is none of that name, or `read_elements` reads none."""
        message = self._weights.get(name)
        return None if message is None else read_elements(self._data, message)

    def write(self, stream: IO[bytes], change: GraphChange) -> None:
        """Writes the file with a change."""
        new = change.graph_bytes()
        kept = [part for part in self._parts if part.number != change.replaced_field]
        for part in self._model:
            if part.number != _MODEL_GRAPH:
                stream.write(self._data[part.start : part.end])
        stream.write(change.model_bytes())
        stream.write(header(_MODEL_GRAPH, len(new) + sum(part.end - part.start for part in kept)))
        stream.write(new)
        for part in kept:
            stream.write(self._data[part.start : part.end])

    def _node(self, message: Field) -> Node:
        texts: dict[int, list[str]] = {}
        attributes: dict[str, Attribute] = {}
        for part in fields(self._data, message.begin, message.end):
            if part.number == _NODE_ATTRIBUTE:
                name, value = self._attribute(part)
                if value is not None:
                    attributes[name] = value
            else:
                texts.setdefault(part.number, []).append(self._text(part))
        (operator,) = texts.get(_NODE_OPERATOR, [""])
        return Node(
            operator,
            tuple(texts.get(_NODE_INPUT, ())),
            tuple(texts.get(_NODE_OUTPUT, ())),
            attributes,
            "".join(texts.get(_NODE_DOMAIN, ())),
            self._data[message.begin : message.end],
        )

    def _attribute(self, message: Field) -> tuple[str, Attribute | None]:
        name, value, row = "", None, []
        for part in fields(self._data, message.begin, message.end):
            if part.number == _ATTRIBUTE_NAME:
                name = self._text(part)
            elif part.number == _ATTRIBUTE_FLOAT:
                value = float(struct.unpack("<f", self._data[part.begin : part.end])[0])
            elif part.number == _ATTRIBUTE_INTEGER:
                (value,) = integers(self._data, part)
            elif part.number == _ATTRIBUTE_INTEGERS:
                row += integers(self._data, part)
        return name, tuple(row) if row else value

    def _text(self, part: Field) -> str:
        return self._data[part.begin : part.end].decode()


def _attribute_bytes(name: str, value: Attribute) -> bytes:
    text = bytes_field(_ATTRIBUTE_NAME, name.encode())
    if isinstance(value, float):
        # A float32 field: four bytes after a tag of wire type 5.
        number = bytes([_ATTRIBUTE_FLOAT << 3 | 5]) + struct.pack("<f", value)
        return text + number + integer_field(_ATTRIBUTE_TYPE, _TYPE_FLOAT)
    if isinstance(value, int):
        return text + integer_field(_ATTRIBUTE_INTEGER, value) + integer_field(_ATTRIBUTE_TYPE, _TYPE_INTEGER)
    raise TypeError(f"the attribute '{name}' is a row")


def _weight_bytes(name: str, values: npt.NDArray[Any]) -> bytes:
    (kind,) = (number for number, dtype in DTYPES.items() if values.dtype == dtype)
    return raw_tensor(name, kind, values.shape, values.tobytes())
