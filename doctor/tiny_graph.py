"""The smallest ONNX graphs that tell whether an engine works, written as protocol buffers by hand.

A graph takes uint8 `[4, 8]` named `views`, multiplies it with a matrix in the precision to be tried, and gives
float32 `[4, 8]` named `embedding`: the pattern of the exported encoders in a few hundred bytes. Field numbers are
those of `onnx.proto3` in the ONNX specification.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["COLUMNS", "PRECISIONS", "ROWS", "tiny_graph"]

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
ROWS, COLUMNS = 4, 8

_FLOAT, _UINT8, _INT8, _FLOAT16, _BFLOAT16 = 1, 2, 3, 10, 16
# New enough for every operator here in every precision, and known to ONNX Runtime 1.18 and TensorRT 10.
_IR_VERSION, _OPSET = 9, 19
_INTEGER_ATTRIBUTE = 2


def tiny_graph(precision: str) -> bytes:
    """The graph of one precision of `PRECISIONS`, as the bytes of an ONNX file.

    Its answer is twice its input, so that every precision gives it exactly for inputs up to 127.
    """
    weights = 2 * np.eye(COLUMNS, dtype=np.float32)
    typed = {"fp32": _FLOAT, "fp16": _FLOAT16, "bf16": _BFLOAT16, "int8": _FLOAT}[precision]
    nodes = [_node("Cast", ["views"], "typed", to=typed)]
    if precision == "int8":
        constants = [
            _constant("weights", _INT8, weights.astype(np.int8)),
            _constant("one", _FLOAT, np.ones((), np.float32)),
            _constant("zero", _INT8, np.zeros((), np.int8)),
        ]
        nodes += [
            _node("QuantizeLinear", ["typed", "one", "zero"], "quantised"),
            _node("DequantizeLinear", ["quantised", "one", "zero"], "left"),
            _node("DequantizeLinear", ["weights", "one", "zero"], "right"),
            _node("MatMul", ["left", "right"], "product"),
        ]
    else:
        constants = [_constant("weights", typed, _as_type(weights, typed))]
        nodes.append(_node("MatMul", ["typed", "weights"], "product"))
    nodes.append(_node("Cast", ["product"], "embedding", to=_FLOAT))
    graph = b"".join(
        [
            *(_bytes_field(1, node) for node in nodes),
            _bytes_field(2, b"tiny"),
            *(_bytes_field(5, constant) for constant in constants),
            _bytes_field(11, _value("views", _UINT8)),
            _bytes_field(12, _value("embedding", _FLOAT)),
        ]
    )
    return (
        _integer_field(1, _IR_VERSION)
        + _bytes_field(7, graph)
        + _bytes_field(8, _bytes_field(1, b"") + _integer_field(2, _OPSET))
    )


def _as_type(values: npt.NDArray[np.float32], kind: int) -> npt.NDArray[np.generic]:
    if kind == _FLOAT16:
        return values.astype(np.float16)
    if kind == _BFLOAT16:
        # bfloat16 is the upper half of a float32.
        return (values.view(np.uint32) >> 16).astype(np.uint16)
    return values


def _node(operator: str, inputs: list[str], output: str, *, to: int | None = None) -> bytes:
    parts = [*(_bytes_field(1, name.encode()) for name in inputs), _bytes_field(2, output.encode())]
    parts += [_bytes_field(3, f"make_{output}".encode()), _bytes_field(4, operator.encode())]
    if to is not None:
        parts.append(
            _bytes_field(5, _bytes_field(1, b"to") + _integer_field(3, to) + _integer_field(20, _INTEGER_ATTRIBUTE))
        )
    return b"".join(parts)


def _constant(name: str, kind: int, values: npt.NDArray[np.generic]) -> bytes:
    sizes = b"".join(_integer_field(1, size) for size in values.shape)
    little = values.astype(values.dtype.newbyteorder("<"))
    return sizes + _integer_field(2, kind) + _bytes_field(8, name.encode()) + _bytes_field(9, little.tobytes())


def _value(name: str, kind: int) -> bytes:
    shape = b"".join(_bytes_field(1, _integer_field(1, size)) for size in (ROWS, COLUMNS))
    return _bytes_field(1, name.encode()) + _bytes_field(
        2, _bytes_field(1, _integer_field(1, kind) + _bytes_field(2, shape))
    )


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _integer_field(number: int, value: int) -> bytes:
    """A field of a protocol buffer that holds a number from 0 on: its number and wire type, and the value."""
    return _varint(number << 3) + _varint(value)


def _bytes_field(number: int, payload: bytes) -> bytes:
    """A field that holds bytes, text, or a message."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload
