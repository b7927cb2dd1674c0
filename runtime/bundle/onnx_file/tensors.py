"""The weights of an ONNX file: where they lie in it, and how they are written.

Field numbers are those of `onnx.proto3` in the ONNX specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.bundle.onnx_file.protobuf import Data, Field, bytes_field, fields, integer_field, integers

__all__ = ["DTYPES", "StoredWeight", "external_tensor", "raw_tensor", "read_elements", "read_weight"]

#: numpy's types by ONNX's numbers; bfloat16, which numpy lacks, is not among them.
DTYPES: Mapping[int, str] = {1: "<f4", 2: "|u1", 3: "|i1", 7: "<i8", 10: "<f2"}

_DIMS, _TYPE, _NAME, _RAW, _EXTERNAL_DATA, _LOCATION = 1, 2, 8, 9, 13, 14
# Elements may also be spelt out one by one, in a field for their type: float_data, int32_data, int64_data.
_FLOATS, _SPELT_INTEGERS = 4, {2: 5, 3: 5, 7: 7}
_ENTRY_KEY, _ENTRY_VALUE, _EXTERNAL = 1, 2, 1


@dataclass(frozen=True)
class StoredWeight:
    """Where a weight lies in its file.

    Attributes:
        name: Its name in the graph.
        kind: Its element type, a number of ONNX's.
        shape: Its dimensions.
        begin: Place of its first byte in the file; any place, so it may not be aligned.
        end: One past its last byte; `begin` for a weight that is not kept as raw bytes.
    """

    name: str
    kind: int
    shape: tuple[int, ...]
    begin: int
    end: int


def read_weight(data: Data, message: Field) -> StoredWeight:
    """Reads all of a weight but its elements.

    Args:
        data: A file's bytes.
        message: The weight's tensor.

    Raises:
        ValueError: It is not well formed.
    """
    name, kind, begin, end = "", 0, 0, 0
    shape: list[int] = []
    for part in fields(data, message.begin, message.end):
        if part.number == _DIMS:
            shape += integers(data, part)
        elif part.number == _TYPE:
            (kind,) = integers(data, part)
        elif part.number == _NAME:
            name = data[part.begin : part.end].decode()
        elif part.number == _RAW:
            begin, end = part.begin, part.end
    return StoredWeight(name, kind, tuple(shape), begin, end)


def read_elements(data: Data, message: Field) -> npt.NDArray[Any] | None:
    """Copies a weight's elements.

    Args:
        data: A file's bytes.
        message: The weight's tensor.

    Returns:
        The elements in their shape; None where numpy lacks their type, or they are not there.

    Raises:
        ValueError: It is not well formed.
    """
    weight = read_weight(data, message)
    if weight.kind not in DTYPES:
        return None
    dtype = np.dtype(DTYPES[weight.kind])
    values = np.frombuffer(data[weight.begin : weight.end], dtype)
    if not values.size:
        parts = list(fields(data, message.begin, message.end))
        if dtype == np.float32:
            # One after another or packed, each takes four bytes.
            floats = (data[part.begin : part.end] for part in parts if part.number == _FLOATS)
            values = np.frombuffer(b"".join(floats), dtype)
        elif (number := _SPELT_INTEGERS.get(weight.kind)) is not None:
            numbers = [value for part in parts if part.number == number for value in integers(data, part)]
            values = np.array(numbers, np.int64).astype(dtype)
    return values.reshape(weight.shape) if values.size == np.prod(weight.shape, dtype=int) else None


def raw_tensor(name: str, kind: int, shape: tuple[int, ...], elements: bytes) -> bytes:
    """A tensor's message with its elements."""
    return _head(name, kind, shape) + bytes_field(_RAW, elements)


def external_tensor(weight: StoredWeight, location: str) -> bytes:
    """A tensor's message that says where in another file its elements lie."""
    entries = {"location": location, "offset": str(weight.begin), "length": str(weight.end - weight.begin)}
    parts = [
        bytes_field(_EXTERNAL_DATA, bytes_field(_ENTRY_KEY, key.encode()) + bytes_field(_ENTRY_VALUE, value.encode()))
        for key, value in entries.items()
    ]
    return _head(weight.name, weight.kind, weight.shape) + b"".join(parts) + integer_field(_LOCATION, _EXTERNAL)


def _head(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    sizes = b"".join(integer_field(_DIMS, size) for size in shape)
    return sizes + integer_field(_TYPE, kind) + bytes_field(_NAME, name.encode())
