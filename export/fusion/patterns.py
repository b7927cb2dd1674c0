"""Finds patterns of nodes in a graph and puts single nodes in their place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

__all__ = ["DOMAIN", "NoMatchError", "Patterns", "attribute", "fused_node", "need"]

#: Of ONNX Runtime's own operators.
DOMAIN = "com.microsoft"
_VERSION = 1


class NoMatchError(Exception):
    """The nodes at hand are not the pattern."""


def need(condition: bool) -> None:
    """A part of a pattern.

    Raises:
        NoMatchError: It is not there.
    """
    if not condition:
        raise NoMatchError


def attribute(node: onnx.NodeProto, name: str) -> Any:
    """A node's attribute; None where it has none of that name."""
    return next((helper.get_attribute_value(item) for item in node.attribute if item.name == name), None)


def fused_node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], *, domain: str = DOMAIN, **attributes: Any
) -> onnx.NodeProto:
    """A node that is put in, named by what it makes, which is unique."""
    node: onnx.NodeProto = helper.make_node(
        operator, inputs, outputs, name=f"make_{outputs[0]}", domain=domain or None, **attributes
    )
    return node


class Patterns:
    """A graph, who makes and who reads each of its values, and what has been found to change.

    Args:
        model: The graph; its weights may lie beside it.
        folder: Where they lie.

    Attributes:
        nodes: As they are in the graph, in order.
        maker: The node that makes a value, by the value's name.
        shapes: Of the weights, by name.
        weights: Further weights by name.
    """

    def __init__(self, model: onnx.ModelProto, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self.weights: dict[str, npt.NDArray[Any]] = {}
        self.nodes: list[onnx.NodeProto] = list(model.graph.node)
        self._stored = {item.name: item for item in model.graph.initializer}
        self.shapes = {name: tuple(item.dims) for name, item in self._stored.items()}
        self.maker: dict[str, onnx.NodeProto] = {name: node for node in self.nodes for name in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        # What stands in the place of a node, by its identity.
        self._replaced: dict[int, list[onnx.NodeProto]] = {}

    def tried(self, pattern: Callable[[onnx.NodeProto], None], node: onnx.NodeProto) -> bool:
        """Whether a node is the one of a pattern that only this pattern has; the pattern replaces what it finds."""
        try:
            pattern(node)
        except NoMatchError:
            return False
        return True

    def replace(self, gone: Sequence[onnx.NodeProto], new: onnx.NodeProto) -> None:
        """Takes nodes out, and puts a new one in the place of the last of them."""
        self._replaced |= {id(item): [] for item in gone[:-1]} | {id(gone[-1]): [new]}

    def new_nodes(self) -> list[onnx.NodeProto]:
        """All nodes that there are now, in order."""
        return [node for place in self.nodes for node in self._replaced.get(id(place), [place])]

    def apply(self) -> None:
        """Changes the graph."""
        # Copied out before the field is emptied, which would take the nodes along.
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in self.new_nodes()]
        graph = self.model.graph
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in self.weights.items())
        used = {name for node in nodes for name in node.input}
        kept = [item for item in graph.initializer if item.name in used]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        self.model.opset_import.append(helper.make_opsetid(DOMAIN, _VERSION))

    def readers(self, name: str) -> list[onnx.NodeProto]:
        """All nodes that read a value."""
        return self._readers.get(name, [])

    def reader(self, name: str) -> onnx.NodeProto:
        """The only node that reads a value."""
        readers = self.readers(name)
        need(len(readers) == 1)
        return readers[0]

    def made_by(self, name: str, operator: str) -> onnx.NodeProto:
        """The node that makes a value, of an operator that is known."""
        node = self.maker.get(name)
        if node is None or node.op_type != operator:
            raise NoMatchError
        return node

    def chain(self, name: str, *operators: str) -> list[onnx.NodeProto]:
        """The nodes that lead to a value, the last first, each result with one reader."""
        found: list[onnx.NodeProto] = []
        for operator in operators:
            self.reader(name)
            node = self.made_by(name, operator)
            found.append(node)
            name = node.input[0]
        return found

    def follow(self, name: str, *operators: str) -> list[onnx.NodeProto]:
        """The nodes that a value goes through, each result with one reader."""
        found = []
        for operator in operators:
            node = self.reader(name)
            need(node.op_type == operator)
            found.append(node)
            name = node.output[0]
        return found

    def values(self, name: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
        """A weight of a type that is known."""
        stored = self._stored.get(name)
        if stored is None:
            raise NoMatchError
        values = numpy_helper.to_array(stored, base_dir=str(self.folder))
        need(values.dtype == dtype)
        return values
