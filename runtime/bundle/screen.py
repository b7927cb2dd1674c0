"""Looks through an ONNX file for what must not reach an engine, without the onnx library.

An ONNX file is a protocol buffer. Two of its features are kept on a short lead: tensors in other files, which could
let a model read any file the process can read, may lie in the one file that the bundle's manifest lists for the graph;
and operators of domains other than ONNX's own, which could run custom code, are those that the manifest's record of
the graph allows. A field that is not listed here is refused, whatever it means: nobody has looked at what a later
version of ONNX puts there. Field numbers are those of `onnx.proto3` in the ONNX specification.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TypeAlias

from mvrec_edge.runtime.bundle.protobuf import Field, fields, integers
from mvrec_edge.runtime.errors import IntegrityError

__all__ = ["VARIANT_DOMAINS", "screen_onnx", "variant_domains"]

#: Whose operators a variant may use beside ONNX's own: ONNX Runtime's.
VARIANT_DOMAINS = ("com.microsoft",)
# The target of the one variant that is of standard operators.
_STANDARD_TARGET = "views"

_STANDARD_DOMAINS = frozenset({"", "ai.onnx"})

_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_OPSET_DOMAIN = 1
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE, _NODE_DOMAIN = 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_ATTRIBUTE_SPARSE = (22, 23)
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 2, 13, 14
# Name and description of a tensor; what else it has would be elements, a second time.
_TENSOR_NAMES = (8, 12)
_EXTERNAL = 1
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

# How a field's value is encoded: a number, four or eight bytes, or as many as it says. Of repeated numbers, several may
# stand in one field.
_Wires: TypeAlias = tuple[int, ...]
_NUMBER: _Wires = (0,)
_BYTES: _Wires = (2,)
_FOUR: _Wires = (5,)
_NUMBERS: _Wires = (0, 2)
_EIGHTS: _Wires = (1, 2)
_FOURS: _Wires = (5, 2)

#: The fields that each message may have: number to the kind of message in it, or to how the value is encoded. In
#: another encoding it would be an unknown field to the libraries.
_FIELDS: dict[str, dict[int, str | _Wires]] = {
    "model": {
        **dict.fromkeys((1, 5), _NUMBER),
        **dict.fromkeys((2, 3, 4, 6), _BYTES),
        7: "graph",
        8: "opset",
        14: "entry",
    },
    "opset": {1: _BYTES, 2: _NUMBER},
    "graph": {
        **dict.fromkeys((2, 10), _BYTES),
        **dict.fromkeys((11, 12, 13), "value"),
        1: "node",
        5: "tensor",
        14: "annotation",
        16: "entry",
    },
    "node": {**dict.fromkeys((1, 2, 3, 4, 6, 7), _BYTES), 5: "attribute", 9: "entry"},
    "attribute": {
        **dict.fromkeys((1, 4, 9, 13, 21), _BYTES),
        2: _FOUR,
        3: _NUMBER,
        7: _FOURS,
        8: _NUMBERS,
        20: _NUMBER,
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        14: "type",
        15: "type",
    },
    "tensor": {
        **dict.fromkeys((6, 8, 9, 12), _BYTES),
        **dict.fromkeys((1, 5, 7, 11), _NUMBERS),
        2: _NUMBER,
        4: _FOURS,
        10: _EIGHTS,
        14: _NUMBER,
        13: "entry",
        16: "entry",
    },
    "annotation": {1: _BYTES, 2: "entry"},
    "entry": {1: _BYTES, 2: _BYTES},
    "value": {1: _BYTES, 2: "type", 3: _BYTES, 4: "entry"},
    "type": {1: "tensor type", 4: "container", 6: _BYTES, 9: "container"},
    "container": {1: "type"},
    "tensor type": {1: _NUMBER, 2: "shape"},
    "shape": {1: "dimension"},
    "dimension": {1: _NUMBER, 2: _BYTES, 3: _BYTES},
}
#: The values of the fields that are one of a few words. Any other would be an unknown field, too.
_WORDS = {("attribute", 20): frozenset({*range(11), 13, 14}), ("tensor", 14): frozenset({0, 1})}
#: Kinds of message that `_Screen` looks into by itself.
_LOOKED_INTO = frozenset({"graph", "node", "attribute", "tensor", "opset"})
_MOST_NESTED = 8
_LONGEST_ENTRY = 1024
# Of all messages together. The pocket encoder's graph has 2,672, that of one of 24 blocks some ten times as many.
_MOST_FIELDS = 1 << 18
# Our own graphs, whose tensors lie beside them, have some hundred kilobytes.
_LARGEST_GRAPH = 1 << 26

#: Bytes of one element by ONNX's number of its type, for the types that a bundle keeps beside its graph.
_ELEMENT_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 10: 2, 16: 2}


def variant_domains(target: str) -> tuple[str, ...]:
    """Whose operators the variant for a target may use beside ONNX's own; nobody's for the target `views`."""
    return () if target == _STANDARD_TARGET else VARIANT_DOMAINS


def screen_onnx(
    path: Path, weights: Path | None = None, domains: Collection[str] = (), *, handle: int | None = None
) -> None:
    """Refuses an ONNX file with other external data, foreign operators, local functions or sparse tensors.

    Only lengths are followed, so the cost depends on the number of nodes, not on the size of the weights.

    Args:
        path: The ONNX file.
        weights: The one file, in the same folder, that may hold its tensors. A tensor there must name it as its
            location without any folder, and lie within it with as many bytes as its shape and type take; tensors may
            overlap, since nothing is written there. None: every tensor is in the ONNX file.
        domains: Whose operators it may use beside ONNX's own.
        handle: The ONNX file's descriptor, where it is open already.

    Raises:
        IntegrityError: The file is larger than 64 MiB, is not a well-formed protocol buffer, or holds something refused
            or not known here.
    """
    # Read, and not mapped: a mapped file that is cut meanwhile ends the process.
    with path.open("rb") if handle is None else os.fdopen(os.dup(handle), "rb") as stream:
        stream.seek(0)
        data = stream.read(_LARGEST_GRAPH + 1)
    if len(data) > _LARGEST_GRAPH:
        raise IntegrityError(
            f"has more than {_LARGEST_GRAPH >> 20} MiB, too many for a graph", where=path, fix="export the bundle again"
        )
    try:
        _Screen(data, path, weights, _STANDARD_DOMAINS.union(domains)).model()
    except (ValueError, IndexError) as error:
        raise IntegrityError("is not a well-formed ONNX file", where=path, fix="export the bundle again") from error


class _Screen:
    def __init__(self, data: bytes, path: Path, weights: Path | None, domains: frozenset[str]) -> None:
        self.data = data
        self.path = path
        self.location = None if weights is None else weights.name
        self.size = 0 if weights is None else weights.stat().st_size
        self.domains = domains
        self.seen = 0

    def refuse(self, what: str) -> IntegrityError:
        return IntegrityError(f"the graph {what}, which is not allowed", where=self.path, fix="export the bundle again")

    def model(self) -> None:
        graphs = 0
        for part in fields(self.data, 0, len(self.data)):
            if part.number == _MODEL_FUNCTIONS:
                raise self.refuse("defines functions of its own")
            if part.number == _MODEL_TRAINING:
                raise self.refuse("holds graphs for training")
            self.known(part, "model", 0)
            if part.number == _MODEL_GRAPH:
                graphs += 1
                self.graph(part, 0)
            elif part.number == _MODEL_OPSET:
                for inner in self.inside(part, "opset"):
                    if inner.number == _OPSET_DOMAIN:
                        self.domain(inner)
        if graphs != 1:
            raise ValueError("no graph")

    def graph(self, graph: Field, depth: int) -> None:
        if depth > _MOST_NESTED:
            raise self.refuse("is nested too deeply")
        for part in self.inside(graph, "graph", (_GRAPH_SPARSE,)):
            if part.number == _GRAPH_INITIALIZER:
                self.tensor(part, may_be_external=depth == 0)
            elif part.number == _GRAPH_NODE:
                for inner in self.inside(part, "node"):
                    if inner.number == _NODE_DOMAIN:
                        self.domain(inner)
                    elif inner.number == _NODE_ATTRIBUTE:
                        self.attribute(inner, depth)

    def attribute(self, attribute: Field, depth: int) -> None:
        for part in self.inside(attribute, "attribute", _ATTRIBUTE_SPARSE):
            if part.number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                self.tensor(part)
            elif part.number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                self.graph(part, depth + 1)

    def tensor(self, tensor: Field, *, may_be_external: bool = False) -> None:
        parts = list(self.inside(tensor, "tensor"))
        entries = [part for part in parts if part.number == _TENSOR_EXTERNAL]
        locations = [part.value for part in parts if part.number == _TENSOR_LOCATION]
        if not entries and not any(locations):
            return
        if not may_be_external or self.location is None or locations != [_EXTERNAL]:
            raise self.refuse("keeps tensors in another file")
        if {part.number for part in parts} - {_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_EXTERNAL, _TENSOR_LOCATION}.union(
            _TENSOR_NAMES
        ):
            raise self.refuse("holds a tensor twice")
        self.external(self.entries(entries), self.bytes_of(parts))

    def external(self, entries: dict[str, str], wanted: int) -> None:
        """Checks where a tensor in another file says that it lies."""
        if entries.keys() != {"location", "offset", "length"}:
            raise self.refuse("does not say where a tensor begins and ends in the file of its weights")
        if entries["location"] != self.location:
            raise self.refuse(f"keeps tensors in {entries['location'][:64]!r} and not in '{self.location}' beside it")
        numbers = [entries["offset"], entries["length"]]
        # Digits alone: a library might read a sign, a blank or an exponent in another way.
        if not all(number.isascii() and number.isdigit() and len(number) < 20 for number in numbers):
            raise self.refuse("places a tensor by what is no number")
        offset, length = map(int, numbers)
        if length != wanted:
            raise self.refuse("gives a tensor another length than its shape and type take")
        if offset + length > self.size:
            raise self.refuse(f"places a tensor beyond the end of '{self.location}'")

    def entries(self, parts: list[Field]) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in parts:
            texts = {_ENTRY_KEY: "", _ENTRY_VALUE: ""}
            for inner in self.inside(part, "entry"):
                if inner.number not in texts or inner.end - inner.begin > _LONGEST_ENTRY:
                    raise ValueError("entry")
                texts[inner.number] = self.data[inner.begin : inner.end].decode()
            if texts[_ENTRY_KEY] in found:
                raise self.refuse("says twice where a tensor lies")
            found[texts[_ENTRY_KEY]] = texts[_ENTRY_VALUE]
        return found

    def bytes_of(self, parts: list[Field]) -> int:
        """The bytes that a tensor takes by its shape and type."""
        dims = [part for part in parts if part.number == _TENSOR_DIMS]
        if sum(part.end - part.begin for part in dims) > _LONGEST_ENTRY:
            raise ValueError("dimensions")
        shape = [size for part in dims for size in integers(self.data, part)]
        kinds = [part.value for part in parts if part.number == _TENSOR_TYPE]
        if len(kinds) != 1 or kinds[0] not in _ELEMENT_BYTES or any(size < 0 for size in shape):
            raise self.refuse("keeps a tensor of another kind in the file of its weights")
        return math.prod(shape) * _ELEMENT_BYTES[kinds[0]]

    def domain(self, text: Field) -> None:
        name = self.data[text.begin : text.end].decode(errors="replace")
        if name not in self.domains:
            raise self.refuse(f"uses operators of the domain {name[:64]!r}")

    def inside(self, message: Field, kind: str, sparse: Collection[int] = (), depth: int = 0) -> Iterator[Field]:
        """The fields of a message, all of them known; `sparse` are those that would hold sparse tensors."""
        for part in fields(self.data, message.begin, message.end):
            if part.number in sparse:
                raise self.refuse("holds sparse tensors")
            self.known(part, kind, depth)
            yield part

    def known(self, part: Field, kind: str, depth: int) -> None:
        """Refuses a field that messages of its kind do not have, or that holds such a field."""
        self.seen += 1
        if part.number not in _FIELDS[kind]:
            raise self.refuse(f"has a field {part.number} in a message '{kind}'")
        if depth > _MOST_NESTED or self.seen > _MOST_FIELDS:
            raise self.refuse("is nested too deeply, or has too many fields")
        inner = _FIELDS[kind][part.number]
        if part.wire not in (_BYTES if isinstance(inner, str) else inner):
            raise ValueError("a field in another encoding than its own")
        if part.value not in _WORDS.get((kind, part.number), (part.value,)):
            raise ValueError("a word that is not known")
        if isinstance(inner, str) and inner not in _LOOKED_INTO:
            for _ in self.inside(part, inner, depth=depth + 1):
                pass
