"""Fused int8 products in ONNX Runtime: the same embeddings, every product in int8, and nothing where it is no such."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the graphs are exported here")
pytest.importorskip("torch", reason="the graphs are exported here")
pytest.importorskip("nncf", reason="it quantises the graph")
onnxruntime = pytest.importorskip("onnxruntime", reason="it runs the graphs")


from mvrec_edge.bench.workloads import noise_views  # noqa: E402
from mvrec_edge.export.fusion import fuse_products  # noqa: E402
from mvrec_edge.export.graph_file import load_graph, load_outline  # noqa: E402
from mvrec_edge.runtime import Bundle  # noqa: E402
from mvrec_edge.runtime.engines.onnxruntime.cpu_session import CpuSession  # noqa: E402
from tests.conftest import TINY  # noqa: E402

# Queries, keys, values, what joins the heads, and the two layers after it.
PRODUCTS = 6 * TINY.layers


@pytest.fixture
def bundle(precisions_bundle: Bundle) -> Bundle:
    return precisions_bundle


def by_the_letter(graph: Path | bytes) -> np.ndarray:
    """Every operator as it stands: quantised, dequantised, multiplied in float32."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = graph if isinstance(graph, bytes) else str(graph)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"views": noise_views(3, TINY.image_size)})[0])


def variant(bundle: Bundle) -> Path:
    path, record = bundle.variant("int8", "onnxruntime-x86") or pytest.fail("it is listed")
    assert record.summary == f"{PRODUCTS} fused products"
    assert record.checks
    assert record.within_limits
    return path


def test_every_product_of_weights_is_int8_and_takes_its_bias_in(bundle: Bundle) -> None:
    model = load_outline(variant(bundle))
    products = [node for node in model.graph.node if node.op_type == "MatMulIntegerToFloat"]
    assert len(products) == PRODUCTS
    assert {(node.domain, len(node.input)) for node in products} == {("com.microsoft", 7)}
    weights = {item.name for item in model.graph.initializer}
    read = collections.Counter(name for node in model.graph.node for name in node.input)
    made = {name for node in model.graph.node for name in node.output}
    # Nothing reads what is gone, and nothing is left that nobody reads.
    assert set(read) <= weights | made | {"views"}
    assert made <= set(read) | {"embedding"}


def test_computes_what_the_standard_operators_say(bundle: Bundle) -> None:
    # Its own operator overflows on a processor without VNNI, unless the session is opened as the engine does.
    session = CpuSession(onnxruntime, variant(bundle), "int8")
    got, want = session.run(noise_views(3, TINY.image_size)), by_the_letter(bundle.graph("int8"))
    # Sums of int8 products are exact in one and float32 in the other, so a value may round to the next byte.
    np.testing.assert_allclose(got, want, atol=0.01 * np.abs(want).max())
    cosines = (got * want).sum(axis=1) / (np.linalg.norm(got, axis=1) * np.linalg.norm(want, axis=1))
    assert cosines.min() > 0.9999


def test_the_weights_are_those_of_the_graph_it_is_made_from(bundle: Bundle) -> None:
    plain, fused = load_outline(bundle.graph("int8")), load_outline(variant(bundle))
    places = [
        {item.name: [(entry.key, entry.value) for entry in item.external_data] for item in model.graph.initializer}
        for model in (plain, fused)
    ]
    assert all(places[0][name] == place for name, place in places[1].items() if place)
    assert sum(map(bool, places[1].values())) >= PRODUCTS
    assert variant(bundle).stat().st_size < 100_000


def test_a_float32_graph_is_left_alone(bundle: Bundle) -> None:
    model = load_outline(bundle.graph("fp32"))
    before = model.SerializeToString()
    assert fuse_products(model, bundle.path) == 0
    assert model.SerializeToString() == before


@pytest.mark.parametrize(
    "change", ["zero point", "bytes read elsewhere", "product from the right", "weight read twice"]
)
def test_what_is_not_the_pattern_is_left_alone(bundle: Bundle, change: str) -> None:
    model = load_graph(bundle.graph("int8"))
    weights = {item.name: item for item in model.graph.initializer}
    nodes = list(model.graph.node)
    product = first_product(nodes)
    values, matrix = (next(node for node in nodes if node.output[0] == name) for name in product.input)
    if change == "zero point":
        weight = weights[values.input[2]]
        weight.CopyFrom(onnx.numpy_helper.from_array(np.int8(3).reshape(()), weight.name))
    elif change == "bytes read elsewhere":
        model.graph.node.append(onnx.helper.make_node("Identity", [values.input[0]], ["again"]))
    elif change == "product from the right":
        product.input[0], product.input[1] = product.input[1], product.input[0]
    else:
        model.graph.node.append(onnx.helper.make_node("Identity", [matrix.output[0]], ["again"]))
    # The values of this product go into queries, keys and values, which are changed together or not at all.
    assert fuse_products(model, bundle.path) == PRODUCTS - 3


def first_product(nodes: list[onnx.NodeProto]) -> onnx.NodeProto:
    """The first whose factors are both dequantised, one of them from weights."""
    makers = {name: node for node in nodes for name in node.output}
    made = set(makers)
    for node in nodes:
        if node.op_type == "MatMul":
            factors = [makers[name] for name in node.input]
            if all(factor.op_type == "DequantizeLinear" for factor in factors) and factors[1].input[0] not in made:
                return node
    raise AssertionError("there is none")
