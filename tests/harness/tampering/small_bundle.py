"""A bundle of one matrix, which every engine opens in milliseconds; its embeddings tell which weights were used."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mvrec_edge.runtime.bundle import (
    Bundle,
    Golden,
    GraphRecord,
    TransformerArchitecture,
    VariantRecord,
    WeightsSource,
    write_bundle,
)
from mvrec_edge.runtime.bundle.golden import GOLDEN_NAME

__all__ = ["GRAPH", "SIZE", "VARIANT", "WEIGHTS", "write_small_bundle"]

GRAPH, WEIGHTS, VARIANT = "encoder.fp32.onnx", "encoder.fp32.weights", "encoder.fp32.onnxruntime-x86.onnx"
SIZE, _CHANNELS = 16, 64


def write_small_bundle(path: Path, seed: int, *, golden: bool = False, overwrite: bool = False) -> Bundle:
    """Writes a bundle of fp32 with a variant; another seed gives another graph and other weights, of the same sizes."""
    draw = np.random.default_rng(seed)
    weights = draw.standard_normal((SIZE * SIZE * 4, _CHANNELS)).astype("<f4")
    with write_bundle(path, overwrite=overwrite) as draft:
        (draft.folder / WEIGHTS).write_bytes(weights.tobytes())
        for name in (GRAPH, VARIANT):
            (draft.folder / name).write_bytes(_graph(seed, weights.nbytes))
        if golden:
            answers = draw.standard_normal((2, _CHANNELS)).astype(np.float32)
            views = draw.integers(0, 256, (2, SIZE, SIZE, 4), dtype=np.uint8)
            Golden(views, answers, {"fp32": answers}).save(draft.folder / GOLDEN_NAME)
        draft.finish(
            created_by="harness",
            architecture=TransformerArchitecture(SIZE, 8, 64, 1, _CHANNELS),
            weights=WeightsSource("random", "small", "", seed),
            graphs=(GraphRecord(GRAPH, WEIGHTS, "fp32", variants=(VariantRecord(VARIANT, "onnxruntime-x86", "1 x"),)),),
        )
    return Bundle.load(path)


def _graph(seed: int, size: int) -> bytes:
    import onnx
    from onnx import TensorProto, helper

    matrix = TensorProto(name="matrix", data_type=TensorProto.FLOAT, dims=[SIZE * SIZE * 4, _CHANNELS])
    matrix.data_location = TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS), ("offset", "0"), ("length", str(size))):
        matrix.external_data.add(key=key, value=value)
    # One digit, so that graphs of other seeds have the same length.
    factor = onnx.numpy_helper.from_array(np.array(0.001 * (1 + seed % 9), np.float32), "factor")
    shape = onnx.numpy_helper.from_array(np.array([-1, SIZE * SIZE * 4], np.int64), "shape")
    nodes = [
        helper.make_node("Cast", ["views"], ["typed"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["typed", "shape"], ["rows"]),
        helper.make_node("MatMul", ["rows", "matrix"], ["product"]),
        helper.make_node("Mul", ["product", "factor"], ["embedding"]),
    ]
    views = helper.make_tensor_value_info("views", TensorProto.UINT8, ["n", SIZE, SIZE, 4])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", _CHANNELS])
    graph = helper.make_graph(nodes, "small", [views], [embedding], [matrix, factor, shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    return bytes(model.SerializeToString())
