"""Protocol buffers on the wire: what an ONNX file consists of.

A message is a row of fields; each begins with a tag, which holds the field's number and how its value is encoded.
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Field", "fields", "integers"]

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_FIXED_SIZES = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: Its number in the message's definition.
        wire: How its value is encoded: 0 a number, 1 eight bytes, 2 as many bytes as it says, 5 four bytes.
        start: Where its tag begins.
        begin: Where its value begins; for a number, where the field ends.
        end: Where its value ends.
        value: The number; None where the value is bytes.
    """

    number: int
    wire: int
    start: int
    begin: int
    end: int
    value: int | None


def fields(data: bytes, begin: int, end: int) -> Iterator[Field]:
    """Yields the fields of one message; values are not looked into.

    Args:
        data: A file's bytes.
        begin: Where the message begins.
        end: Where it ends.

    Raises:
        ValueError: It is not well formed.
        IndexError: The same.
    """
    position = begin
    while position < end:
        start = position
        tag, position = _read_varint(data, position, end)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise ValueError("field number")
        if wire == _VARINT:
            value, position = _read_varint(data, position, end)
            yield Field(number, wire, start, position, position, value)
            continue
        if wire == _LENGTH:
            length, position = _read_varint(data, position, end)
        elif wire in _FIXED_SIZES:
            length = _FIXED_SIZES[wire]
        else:
            raise ValueError("wire type")
        if position + length > end:
            raise ValueError("length")
        yield Field(number, wire, start, position, position + length, None)
        position += length


def integers(data: bytes, field: Field) -> list[int]:
    """The numbers of a repeated int64 field: one, or several that are packed into its bytes."""
    if field.value is not None:
        return [_signed(field.value)]
    found, position = [], field.begin
    while position < field.end:
        value, position = _read_varint(data, position, field.end)
        found.append(_signed(value))
    return found


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _read_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise ValueError("varint")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("varint")
