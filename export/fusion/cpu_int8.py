"""Puts ONNX Runtime's int8 product into a graph whose int8 is spelt out in standard operators, for x86.

ONNX Runtime sees by itself that a product of two dequantised matrices is one of int8, but on x86 only where the values
that come in are bytes without a sign; it turns signed ones into such where they go into one product alone. Those that
queries, keys and values are made of go into three, so these products would be computed in float32, from weights that
are dequantised anew in each run. Here all are put into `MatMulIntegerToFloat`, which adds the bias as well.

Signed values q, scaled by s, are the bytes q + 128 with a zero point of 128: the same numbers, rounded alike.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from mvrec_edge.export.fusion.patterns import Patterns, attribute, fused_node, need

__all__ = ["fuse_products"]

_ZERO_POINT = "zero_point.of_bytes"


def fuse_products(model: onnx.ModelProto, folder: Path) -> int:
    """Fuses products of int8 weights with quantised values, in place.

    Args:
        model: An int8 graph; its weights may lie beside it.
        folder: Where they lie.

    Returns:
        How many products were fused; with 0 the graph is as it was.
    """
    fusion = _Fusion(model, folder)
    for node in fusion.nodes:
        if node.op_type == "QuantizeLinear":
            fusion.tried(fusion.quantised, node)
    if fusion.count:
        fusion.apply()
    return fusion.count


class _Fusion(Patterns):
    def __init__(self, model: onnx.ModelProto, folder: Path) -> None:
        super().__init__(model, folder)
        self.count = 0

    def quantised(self, quantise: onnx.NodeProto) -> None:
        """All products of a value that is quantised to int8; if one is not the pattern, none is."""
        _, scale, zero = self.symmetric(quantise)
        need(self.shapes[scale] == ())
        (bytes_out,) = quantise.output
        found: list[tuple[list[onnx.NodeProto], onnx.NodeProto]] = []
        for dequantise in self.readers(bytes_out):
            need(dequantise.op_type == "DequantizeLinear" and self.symmetric(dequantise) == (bytes_out, scale, zero))
            products = self.readers(dequantise.output[0])
            need(bool(products))
            found += [self.product(node, dequantise, scale) for node in products]
        need(bool(found))
        for gone, new in found:
            self.replace(gone, new)
        inputs = (*quantise.input[:2], _ZERO_POINT)
        self.replace([quantise], fused_node("QuantizeLinear", inputs, quantise.output, domain=""))
        self.weights[_ZERO_POINT] = np.array(128, np.uint8)
        self.count += len(found)

    def product(
        self, node: onnx.NodeProto, dequantise: onnx.NodeProto, scale: str
    ) -> tuple[list[onnx.NodeProto], onnx.NodeProto]:
        """A product of values and weights, with its bias if it has one."""
        need(node.op_type == "MatMul" and node.input[0] == dequantise.output[0])
        weight = self.made_by(node.input[1], "DequantizeLinear")
        need(self.reader(weight.output[0]) is node)
        matrix, weight_scale, weight_zero = self.symmetric(weight)
        shape = self.shapes.get(matrix, ())
        need(len(shape) == 2 and self.shapes[weight_scale] == shape[1:])
        inputs = [dequantise.input[0], matrix, scale, weight_scale, _ZERO_POINT, weight_zero]
        gone, outputs = [dequantise, weight, node], node.output
        readers = self.readers(node.output[0])
        if len(readers) == 1 and self.is_bias(readers[0], node.output[0], shape[1:]):
            inputs += readers[0].input[1:]
            gone.append(readers[0])
            outputs = readers[0].output
        return gone, fused_node("MatMulIntegerToFloat", inputs, outputs)

    def is_bias(self, node: onnx.NodeProto, product: str, shape: tuple[int, ...]) -> bool:
        return node.op_type == "Add" and node.input[0] == product and self.shapes.get(node.input[1]) == shape

    def symmetric(self, node: onnx.NodeProto) -> tuple[str, str, str]:
        """The inputs of a node that quantises to int8, or back, with a zero point of zero."""
        need(len(node.input) == 3)
        value, scale, zero = node.input
        zeros = self.values(zero, np.int8)
        need(self.values(scale, np.float32).shape == zeros.shape and not zeros.any())
        # A row of scales belongs to the columns.
        need(self.shapes[scale] == () or attribute(node, "axis") in (None, 1, -1))
        return value, scale, zero
