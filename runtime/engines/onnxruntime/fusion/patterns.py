"""Finds patterns of nodes in a graph and puts single nodes in their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.bundle.onnx_file.graph import GraphChange, Node, OnnxFile

__all__ = ["DOMAIN", "NoMatchError", "Patterns", "need"]

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


class Patterns:
    """A graph, who makes and who reads each of its values, and what has been found to change.

    Args:
        file: The graph.

    Attributes:
        maker: The node that makes a value, by the value's name.
        weights: Further weights by name.
    """

    def __init__(self, file: OnnxFile) -> None:
        self.file = file
        self.weights: dict[str, npt.NDArray[Any]] = {}
        self.maker = {name: node for node in file.nodes for name in node.outputs}
        self._readers: dict[str, list[Node]] = {}
        for node in file.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)
        # What stands in the place of a node, by its identity.
        self._replaced: dict[int, list[Node]] = {}

    def tried(self, pattern: Callable[[Node], None], node: Node) -> bool:
        """Whether a node is the one of a pattern that only this pattern has; the pattern replaces what it finds."""
        try:
            pattern(node)
        except NoMatchError:
            return False
        return True

    def replace(self, gone: list[Node], new: Node) -> None:
        """Takes nodes out, and puts a new one in the place of the last of them."""
        self._replaced |= {id(item): [] for item in gone[:-1]} | {id(gone[-1]): [new]}

    def nodes(self) -> list[Node]:
        """All nodes that there are now, in order."""
        return [node for place in self.file.nodes for node in self._replaced.get(id(place), [place])]

    def change(self) -> GraphChange:
        """What a file with the new nodes differs in."""
        return GraphChange(tuple(self.nodes()), self.weights, {DOMAIN: _VERSION})

    def readers(self, name: str) -> list[Node]:
        """All nodes that read a value."""
        return self._readers.get(name, [])

    def reader(self, name: str) -> Node:
        """The only node that reads a value."""
        readers = self.readers(name)
        need(len(readers) == 1)
        return readers[0]

    def made_by(self, name: str, operator: str) -> Node:
        """The node that makes a value, of an operator that is known."""
        node = self.maker.get(name)
        if node is None or node.operator != operator:
            raise NoMatchError
        return node

    def chain(self, name: str, *operators: str) -> list[Node]:
        """The nodes that lead to a value, the last first, each result with one reader."""
        found: list[Node] = []
        for operator in operators:
            self.reader(name)
            node = self.made_by(name, operator)
            found.append(node)
            name = node.inputs[0]
        return found

    def follow(self, name: str, *operators: str) -> list[Node]:
        """The nodes that a value goes through, each result with one reader."""
        found = []
        for operator in operators:
            node = self.reader(name)
            need(node.operator == operator)
            found.append(node)
            name = node.outputs[0]
        return found

    def values(self, name: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
        """A weight of a type that is known."""
        values = self.file.values(name)
        if values is None or values.dtype != dtype:
            raise NoMatchError
        return values
