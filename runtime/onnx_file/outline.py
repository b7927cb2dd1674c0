"""An ONNX file without its large weights, which stay where they are, to be mapped into memory instead of read.

A library that reads the file itself holds the weights two or three times: as a message, as tensors, and packed for its
products. What is mapped costs no memory of its own, and is there at once. Field numbers are those of `onnx.proto3` in
the ONNX specification.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.runtime.onnx_file.protobuf import Data, Field, bytes_field, fields, integer_field, integers

__all__ = ["Outline", "StoredWeight", "outline_with_inputs", "outline_with_references"]

_MODEL_GRAPH = 7
_GRAPH_INITIALIZER, _GRAPH_INPUT = 5, 11
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 2, 8, 9, 13, 14
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _TENSOR_ELEMENT, _TENSOR_SHAPE, _SHAPE_DIM, _DIM_VALUE = 1, 1, 2, 1, 1
_ENTRY_KEY, _ENTRY_VALUE, _EXTERNAL = 1, 2, 1

# What is smaller goes along: it costs little, and libraries look into small constants when they read a graph.
_LEAST_BYTES = 1 << 16


@dataclass(frozen=True)
class StoredWeight:
    """Where a weight lies in its file.

    Attributes:
        name: Its name in the graph.
        kind: Its element type, a number of ONNX's.
        shape: Its dimensions.
        begin: Place of its first byte in the file; any place, so it may not be aligned.
        end: One past its last byte.
    """

    name: str
    kind: int
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Outline:
    """A model without its large weights.

    Attributes:
        model: The ONNX model.
        weights: What is missing in it.
    """

    model: bytes
    weights: tuple[StoredWeight, ...]


def outline_with_inputs(path: Path) -> Outline:
    """The model with an input in the place of each large weight.

    Args:
        path: An ONNX file that has been screened.

    Raises:
        ValueError: It is not a well-formed protocol buffer.
        OSError: It cannot be read.
    """
    return _outline(path, lambda weight: bytes_field(_GRAPH_INPUT, _input(weight)))


def outline_with_references(path: Path) -> Outline:
    """The model with a reference to the file, by its name alone, in the place of each large weight.

    Args and errors as for `outline_with_inputs`. This is ONNX's own way to keep weights in another file, which a bundle
    may not use; here it points to a file whose hash is known.
    """
    return _outline(path, lambda weight: bytes_field(_GRAPH_INITIALIZER, _reference(weight, path.name)))


def _outline(path: Path, replace: Callable[[StoredWeight], bytes]) -> Outline:
    weights: list[StoredWeight] = []
    model: list[bytes] = []
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for part in fields(data, 0, len(data)):
            if part.number != _MODEL_GRAPH:
                model.append(data[part.start : part.end])
                continue
            graph: list[bytes] = []
            for inner in fields(data, part.begin, part.end):
                weight = _stored(data, inner) if inner.number == _GRAPH_INITIALIZER else None
                if weight is None:
                    graph.append(data[inner.start : inner.end])
                else:
                    graph.append(replace(weight))
                    weights.append(weight)
            model.append(bytes_field(_MODEL_GRAPH, b"".join(graph)))
    return Outline(b"".join(model), tuple(weights))


def _stored(data: Data, message: Field) -> StoredWeight | None:
    """A weight that is large and lies in the file as raw bytes; None for any other."""
    if message.end - message.begin < _LEAST_BYTES:
        return None
    name, kind, raw = "", 0, None
    shape: list[int] = []
    for part in fields(data, message.begin, message.end):
        if part.number == _TENSOR_DIMS:
            shape += integers(data, part)
        elif part.number == _TENSOR_TYPE:
            (kind,) = integers(data, part)
        elif part.number == _TENSOR_NAME:
            name = data[part.begin : part.end].decode()
        elif part.number == _TENSOR_RAW:
            raw = part
    if raw is None or raw.end - raw.begin < _LEAST_BYTES:
        return None
    return StoredWeight(name, kind, tuple(shape), raw.begin, raw.end)


def _input(weight: StoredWeight) -> bytes:
    shape = b"".join(bytes_field(_SHAPE_DIM, integer_field(_DIM_VALUE, size)) for size in weight.shape)
    tensor = integer_field(_TENSOR_ELEMENT, weight.kind) + bytes_field(_TENSOR_SHAPE, shape)
    return bytes_field(_VALUE_NAME, weight.name.encode()) + bytes_field(_VALUE_TYPE, bytes_field(_TYPE_TENSOR, tensor))


def _reference(weight: StoredWeight, location: str) -> bytes:
    entries = {"location": location, "offset": str(weight.begin), "length": str(weight.end - weight.begin)}
    return b"".join(
        [
            *(integer_field(_TENSOR_DIMS, size) for size in weight.shape),
            integer_field(_TENSOR_TYPE, weight.kind),
            bytes_field(_TENSOR_NAME, weight.name.encode()),
            *(
                bytes_field(
                    _TENSOR_EXTERNAL,
                    bytes_field(_ENTRY_KEY, key.encode()) + bytes_field(_ENTRY_VALUE, value.encode()),
                )
                for key, value in entries.items()
            ),
            integer_field(_TENSOR_LOCATION, _EXTERNAL),
        ]
    )
