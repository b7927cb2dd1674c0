"""Patterns put into the form that OpenVINO fuses, on the graphs that are exported here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mvrec_edge.bench.workloads import noise_views
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.engines.openvino.rewriting import rewrite

openvino = pytest.importorskip("openvino", reason="OpenVINO is what is tested")


def run(model: Any, views: np.ndarray) -> np.ndarray:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled.create_infer_request().infer({"views": views})[compiled.output(0)], np.float32)


def turned_keys(model: Any) -> int:
    """Transposes that only a product reads, as its second factor."""
    found = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() == "MatMul" and node.input_value(1).get_node().get_type_name() == "Transpose":
            order = node.input_value(1).get_node().input_value(1).get_node().data.tolist()
            found += order == [0, 2, 3, 1]
    return found


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
def test_computes_the_same_in_the_form_that_is_fused(precisions_bundle: Bundle, precision: str) -> None:
    views = noise_views(3, precisions_bundle.architecture.image_size)
    layers = precisions_bundle.architecture.layers
    core = openvino.Core()
    plain = core.read_model(str(precisions_bundle.graph(precision)))
    if precision != "int8":
        # In int8 there are quantisers between.
        assert turned_keys(plain) == layers
    want = run(plain, views)
    rewrite(openvino, plain)
    kinds = [node.get_type_name() for node in plain.get_ordered_ops()]
    assert turned_keys(plain) == 0
    assert kinds.count("Swish") == layers
    assert kinds.count("Sigmoid") == 0
    got = run(plain, views)
    cosines = (got * want).sum(axis=1) / (np.linalg.norm(got, axis=1) * np.linalg.norm(want, axis=1))
    assert cosines.min() > (0.9999 if precision in ("int8", "bf16") else 0.999999)


def test_other_patterns_stay() -> None:
    operations = openvino.opset13
    two = operations.constant(np.float32(2.0))
    left, right = (operations.parameter([2, 2, 2, 2], np.float32, name) for name in ("left", "right"))
    read_twice = operations.sigmoid(operations.multiply(left, two))
    of_another = operations.multiply(right, operations.sigmoid(operations.multiply(left, two)))
    turned = operations.transpose(right, operations.constant(np.array([1, 2, 3, 0])))
    outputs = [
        operations.multiply(left, read_twice),
        operations.multiply(right, read_twice),
        of_another,
        operations.matmul(left, turned, False, False),
        operations.matmul(left, operations.transpose(right, operations.constant(np.array([0, 2, 3, 1]))), True, False),
    ]
    model = openvino.Model(outputs, [left, right], "patterns")
    before = [node.get_type_name() for node in model.get_ordered_ops()]
    rewrite(openvino, model)
    assert [node.get_type_name() for node in model.get_ordered_ops()] == before
