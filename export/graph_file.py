"""A graph as two files: the ONNX graph, small, and its weights beside it as ONNX's external data.

Engines open the graph from its path and map the weights; further graphs over the same weights cost nothing.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import numpy_helper
from onnx.external_data_helper import set_external_data

from mvrec_edge.runtime.files import atomic_write

__all__ = ["load_graph", "load_outline", "save_graph", "save_outline", "weights_of"]

# ONNX's own default. What is smaller stays in the graph, where libraries look into it while they optimise.
_LEAST_BYTES = 1024
# Libraries map by pages; ONNX advises to begin each tensor with one.
_PAGE = 4096


def weights_of(graph: Path) -> Path:
    """Where the weights of a graph lie."""
    return graph.with_suffix(".weights")


def save_graph(model: onnx.ModelProto, path: Path) -> None:
    """Writes a graph and its weights.

    Args:
        model: The graph with its weights; those that go into the other file are taken out of it one by one.
        path: The ONNX file; the weights go to `weights_of(path)`.

    Raises:
        OutputError: A file cannot be written.
    """
    weights = weights_of(path)
    with atomic_write(weights) as stream:
        end = 0
        for tensor in model.graph.initializer:
            if not tensor.HasField("raw_data"):
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
            length = len(tensor.raw_data)
            if length < _LEAST_BYTES:
                continue
            begin = -(-end // _PAGE) * _PAGE
            stream.write(bytes(begin - end))
            stream.write(tensor.raw_data)
            end = begin + length
            set_external_data(tensor, weights.name, begin, length)
            tensor.ClearField("raw_data")
    save_outline(model, path)


def save_outline(model: onnx.ModelProto, path: Path) -> None:
    """Writes a graph whose weights lie in a file already.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_write(path) as stream:
        stream.write(model.SerializeToString(deterministic=True))


def load_graph(path: Path) -> onnx.ModelProto:
    """Reads a graph with its weights."""
    return onnx.load(path)


def load_outline(path: Path) -> onnx.ModelProto:
    """Reads a graph without the weights that lie beside it."""
    return onnx.load(path, load_external_data=False)
