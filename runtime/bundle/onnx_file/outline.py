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

from mvrec_edge.runtime.bundle.onnx_file.graph import GraphChange
from mvrec_edge.runtime.bundle.onnx_file.protobuf import bytes_field, fields, integer_field
from mvrec_edge.runtime.bundle.onnx_file.tensors import StoredWeight, external_tensor, read_weight

__all__ = ["Outline", "outline_with_inputs", "outline_with_references"]

_MODEL_GRAPH = 7
_GRAPH_INITIALIZER, _GRAPH_INPUT = 5, 11
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _TENSOR_ELEMENT, _TENSOR_SHAPE, _SHAPE_DIM, _DIM_VALUE = 1, 1, 2, 1, 1

# What is smaller goes along: it costs little, and libraries look into small constants when they read a graph.
_LEAST_BYTES = 1 << 16


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


def outline_with_references(path: Path, change: GraphChange | None = None) -> Outline:
    """The model with a reference to the file, by its name alone, in the place of each large weight.

    This is ONNX's own way to keep weights in another file, which a bundle may not use; here it points to a file whose
    hash is known.

    Args:
        path: An ONNX file that has been screened.
        change: What the model differs in from the file.

    Raises:
        The same as `outline_with_inputs`.
    """
    return _outline(path, lambda weight: bytes_field(_GRAPH_INITIALIZER, external_tensor(weight, path.name)), change)


def _outline(path: Path, replace: Callable[[StoredWeight], bytes], change: GraphChange | None = None) -> Outline:
    weights: list[StoredWeight] = []
    model = [change.model_bytes()] if change else []
    left_out = change.replaced_field if change else None
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for part in fields(data, 0, len(data)):
            if part.number != _MODEL_GRAPH:
                model.append(data[part.start : part.end])
                continue
            graph = [change.graph_bytes()] if change else []
            for inner in fields(data, part.begin, part.end):
                if inner.number == left_out:
                    continue
                if inner.number == _GRAPH_INITIALIZER and inner.end - inner.begin >= _LEAST_BYTES:
                    weight = read_weight(data, inner)
                    if weight.end - weight.begin >= _LEAST_BYTES:
                        graph.append(replace(weight))
                        weights.append(weight)
                        continue
                graph.append(data[inner.start : inner.end])
            model.append(bytes_field(_MODEL_GRAPH, b"".join(graph)))
    return Outline(b"".join(model), tuple(weights))


def _input(weight: StoredWeight) -> bytes:
    shape = b"".join(bytes_field(_SHAPE_DIM, integer_field(_DIM_VALUE, size)) for size in weight.shape)
    tensor = integer_field(_TENSOR_ELEMENT, weight.kind) + bytes_field(_TENSOR_SHAPE, shape)
    return bytes_field(_VALUE_NAME, weight.name.encode()) + bytes_field(_VALUE_TYPE, bytes_field(_TYPE_TENSOR, tensor))
