"""ONNX files made by hand, and made invalid field by field: lengths stay right, so that the change is reached."""

from __future__ import annotations

import random
from collections.abc import Iterator

__all__ = ["GRAPH", "WEIGHTS", "mutated_protobuf"]

_Message = list[tuple[int, int, "bytes | int | _Message"]]


def _varint(value: int) -> bytes:
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _entry(key: str, value: str) -> bytes:
    return _field(1, key.encode()) + _field(2, value.encode())


def _tensor(name: str, offset: int, weights: str) -> bytes:
    places = (("location", weights), ("offset", str(offset)), ("length", "16"))
    external = b"".join(_field(13, _entry(*each)) for each in places)
    return _field(1, 2) + _field(1, 2) + _field(2, 1) + _field(8, name.encode()) + external + _field(14, 1)


def _value(name: str, kind: int, *sides: int) -> bytes:
    shape = b"".join(_field(1, _field(1, side)) for side in sides)
    return _field(1, name.encode()) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))


def _made(weights: str) -> bytes:
    constant = _field(1, b"value") + _field(20, 4) + _field(5, _field(1, 1) + _field(2, 1) + _field(9, b"\0\0\x80?"))
    names = (_field(1, b"views"), _field(1, b"w"), _field(2, b"a"), _field(3, b"product"), _field(4, b"MatMul"))
    nodes = [b"".join(names), _field(2, b"c") + _field(4, b"Constant") + _field(5, constant)]
    tensors = [_tensor("w", 0, weights), _tensor("v", 16, weights)]
    graph = b"".join(
        [
            *(_field(1, node) for node in nodes),
            _field(2, b"encoder"),
            *(_field(5, tensor) for tensor in tensors),
            _field(11, _value("views", 2, 1, 2)),
            _field(12, _value("embedding", 1, 1, 2)),
        ]
    )
    return _field(1, 8) + _field(2, b"mvrec-edge") + _field(7, graph) + _field(8, _field(1, b"") + _field(2, 18))


#: The name of the file beside the graph, and its bytes.
WEIGHTS = ("encoder.fp32.weights", bytes(32))
#: A graph of two nodes and two tensors in that file.
GRAPH = _made(WEIGHTS[0])

# The fields that hold messages, by the way to them; what is there is taken apart.
_DEPTH = 6
_NUMBERS = (0, 1, 2, 3, 127, 128, (1 << 29) - 1, 1 << 29, 1 << 31, 1 << 32, (1 << 32) + 13, 1 << 63, (1 << 64) - 1)
_TEXTS = (
    b"",
    b"/etc/passwd",
    b"../x",
    b"location",
    b"offset",
    b"evil.custom",
    b"com.microsoft",
    b"-1",
    b"\xff",
    b"9" * 30,
)


def mutated_protobuf(data: bytes, source: random.Random) -> bytes:
    """Changes one to three fields: numbers, values, types, places; takes some out, doubles some, nests some."""
    message = _parsed(data, _DEPTH)
    for _ in range(source.choice((1, 1, 2, 3))):
        messages = list(_messages(message))
        _change(source.choice(messages), source)
    return _written(message)


def _change(message: _Message, source: random.Random) -> None:
    if not message or source.random() < 0.15:
        message.insert(source.randint(0, len(message)), _new(source))
        return
    place, draw = source.randrange(len(message)), source.random()
    number, wire, value = message[place]
    if draw < 0.2:
        number = source.choice((source.randint(1, 30), (1 << 32) + number, (1 << 29) + number, 0, number + (1 << 61)))
        message[place] = (number, wire, value)
    elif draw < 0.5:
        message[place] = (number, wire, source.choice(_NUMBERS) if wire == 0 else source.choice(_TEXTS))
    elif draw < 0.6:
        message[place] = _new(source)
    elif draw < 0.75:
        del message[place]
    elif draw < 0.95:
        message.insert(source.randint(0, len(message)), message[source.randrange(len(message))])
    else:
        # A message within itself, as deep as it goes.
        inner: _Message = [message[place]]
        for _ in range(source.choice((2, 9, 200))):
            inner = [(number, 2, inner)]
        message[place] = inner[0]


def _new(source: random.Random) -> tuple[int, int, bytes | int | _Message]:
    number = source.choice((*range(1, 27), 100, (1 << 29) - 1))
    wire = source.choice((0, 0, 1, 2, 2, 5, 3, 4, 6))
    if wire == 0:
        return number, 0, source.choice(_NUMBERS)
    return number, wire, source.randbytes({1: 8, 5: 4}.get(wire, 0)) if wire != 2 else source.choice(_TEXTS)


def _messages(message: _Message) -> Iterator[_Message]:
    waiting = [message]
    while waiting:
        each = waiting.pop()
        yield each
        waiting += [value for _, _, value in each if isinstance(value, list)]


def _parsed(data: bytes, depth: int) -> _Message:
    """What is well formed as a message is taken for one; a text that looks like one does no harm."""
    message: _Message = []
    position = 0
    while position < len(data):
        tag, position = _number(data, position)
        if tag & 7 == 0:
            value, position = _number(data, position)
            message.append((tag >> 3, 0, value))
        elif tag & 7 == 2:
            length, position = _number(data, position)
            part = data[position : position + length]
            if len(part) != length:
                raise IndexError("length")
            position += length
            message.append((tag >> 3, 2, _inner(part, depth)))
        else:
            raise IndexError("wire type")
    return message


def _inner(part: bytes, depth: int) -> bytes | _Message:
    if depth and part:
        try:
            return _parsed(part, depth - 1)
        except IndexError:
            pass
    return part


def _number(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _written(message: _Message) -> bytes:
    data = bytearray()
    for number, wire, value in message:
        data += _varint(number << 3 | wire)
        if isinstance(value, int):
            data += _varint(value)
        else:
            part = _written(value) if isinstance(value, list) else value
            data += (_varint(len(part)) if wire == 2 else b"") + part
    return bytes(data)
