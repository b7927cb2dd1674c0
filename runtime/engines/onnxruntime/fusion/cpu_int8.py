"""Puts ONNX Runtime's int8 product into a graph whose int8 is spelt out in standard operators.

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

from mvrec_edge.runtime.bundle.onnx_file.graph import GraphChange, Node, OnnxFile
from mvrec_edge.runtime.engines.onnxruntime.fusion.patterns import DOMAIN, Patterns, need

__all__ = ["fuse_products"]

_ZERO_POINT = "zero_point.of_bytes"


def fuse_products(path: Path) -> tuple[int, GraphChange]:
    """Looks for products of int8 weights with quantised values.

    Args:
        path: An int8 graph that has been screened.

    Returns:
        How many products were fused, and what the graph that has them differs in.

    Raises:
        ValueError: The file is not a well-formed protocol buffer.
        OSError: It cannot be read.
    """
    with OnnxFile(path) as file:
        fusion = _Fusion(file)
        for node in file.nodes:
            if node.operator == "QuantizeLinear":
                fusion.tried(fusion.quantised, node)
        return fusion.count, fusion.change()


class _Fusion(Patterns):
    def __init__(self, file: OnnxFile) -> None:
        super().__init__(file)
        self.count = 0

    def quantised(self, quantise: Node) -> None:
        """All products of a value that is quantised to int8; if one is not the pattern, none is."""
        _, scale, zero = self.symmetric(quantise)
        need(self.file.shapes[scale] == ())
        (bytes_out,) = quantise.outputs
        found: list[tuple[list[Node], Node]] = []
        for dequantise in self.readers(bytes_out):
            need(dequantise.operator == "DequantizeLinear" and self.symmetric(dequantise) == (bytes_out, scale, zero))
            products = self.readers(dequantise.outputs[0])
            need(bool(products))
            found += [self.product(node, dequantise, scale) for node in products]
        need(bool(found))
        for gone, new in found:
            self.replace(gone, new)
        self.replace([quantise], Node("QuantizeLinear", (*quantise.inputs[:2], _ZERO_POINT), quantise.outputs))
        self.weights[_ZERO_POINT] = np.array(128, np.uint8)
        self.count += len(found)

    def product(self, node: Node, dequantise: Node, scale: str) -> tuple[list[Node], Node]:
        """A product of values and weights, with its bias if it has one."""
        need(node.operator == "MatMul" and node.inputs[0] == dequantise.outputs[0])
        weight = self.made_by(node.inputs[1], "DequantizeLinear")
        need(self.reader(weight.outputs[0]) is node)
        matrix, weight_scale, weight_zero = self.symmetric(weight)
        shape = self.file.shapes.get(matrix, ())
        need(len(shape) == 2 and self.file.shapes[weight_scale] == shape[1:])
        inputs: tuple[str, ...] = (dequantise.inputs[0], matrix, scale, weight_scale, _ZERO_POINT, weight_zero)
        gone, outputs = [dequantise, weight, node], node.outputs
        readers = self.readers(node.outputs[0])
        if len(readers) == 1 and self.is_bias(readers[0], node.outputs[0], shape[1:]):
            inputs += readers[0].inputs[1:]
            gone.append(readers[0])
            outputs = readers[0].outputs
        return gone, Node("MatMulIntegerToFloat", inputs, outputs, {}, DOMAIN)

    def is_bias(self, node: Node, product: str, shape: tuple[int, ...]) -> bool:
        return node.operator == "Add" and node.inputs[0] == product and self.file.shapes.get(node.inputs[1]) == shape

    def symmetric(self, node: Node) -> tuple[str, str, str]:
        """The inputs of a node that quantises to int8, or back, with a zero point of zero."""
        need(len(node.inputs) == 3)
        value, scale, zero = node.inputs
        zeros = self.values(zero, np.int8)
        need(self.values(scale, np.float32).shape == zeros.shape and not zeros.any())
        # A row of scales belongs to the columns.
        need(self.file.shapes[scale] == () or node.attributes.get("axis", 1) in (1, -1))
        return value, scale, zero
