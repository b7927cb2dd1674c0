"""A graph and its weights as two files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the export stage needs onnx")
pytest.importorskip("torch", reason="the export stage needs PyTorch")

from mvrec_edge.export.graph_file import load_graph, load_outline, save_graph, weights_of  # noqa: E402
from mvrec_edge.runtime.bundle.screen import screen_onnx  # noqa: E402

WEIGHTS = {
    "small": np.arange(8, dtype=np.float32),
    "float32": np.arange(1024, dtype=np.float32).reshape(32, 32),
    "int8": np.arange(2000, dtype=np.int64).astype(np.int8),
    "float16": np.arange(512, dtype=np.float16),
    "int64": np.arange(128, dtype=np.int64),
}


def model() -> onnx.ModelProto:
    helper = onnx.helper
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    nodes = [helper.make_node("Identity", [name], [f"{name}.out"]) for name in WEIGHTS]
    stored = [onnx.numpy_helper.from_array(values, name) for name, values in WEIGHTS.items()]
    # Spelt out one by one, as some tools leave them.
    stored.append(helper.make_tensor("spelt", onnx.TensorProto.FLOAT, [300], [0.5] * 300))
    return helper.make_model(helper.make_graph(nodes, "g", [value], [value], stored))


def test_what_is_large_lies_beside_at_the_beginning_of_a_page(tmp_path: Path) -> None:
    path = tmp_path / "encoder.fp32.onnx"
    save_graph(model(), path)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["encoder.fp32.onnx", "encoder.fp32.weights"]
    screen_onnx(path, weights_of(path))
    places = {
        tensor.name: {entry.key: entry.value for entry in tensor.external_data}
        for tensor in load_outline(path).graph.initializer
    }
    assert {name for name, place in places.items() if not place} == {"small"}
    assert all(int(place["offset"]) % 4096 == 0 for place in places.values() if place)
    assert {place["location"] for place in places.values() if place} == {"encoder.fp32.weights"}
    read = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in load_graph(path).graph.initializer}
    for name, values in WEIGHTS.items():
        np.testing.assert_array_equal(read[name], values)
        assert read[name].dtype == values.dtype
    assert read["spelt"].tolist() == [0.5] * 300


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save_graph(model(), tmp_path / name / "g.onnx")
    for file in ("g.onnx", "g.weights"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
