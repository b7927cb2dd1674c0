"""The screen in front of the engines: what an ONNX file may not hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.bundle.onnx_file.screen import screen_onnx
from mvrec_edge.runtime.errors import IntegrityError

onnx = pytest.importorskip("onnx", reason="onnx makes the graphs that are screened")


def _graph() -> onnx.GraphProto:
    helper = onnx.helper
    weight = onnx.numpy_helper.from_array(np.ones((2, 2), np.float32), "w")
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2])
    result = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 2])
    return helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [value], [result], [weight])


def _save(path: Path, change: Callable[[onnx.ModelProto], None] = lambda _: None) -> Path:
    model = onnx.helper.make_model(_graph(), opset_imports=[onnx.helper.make_opsetid("", 18)])
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_plain_graph_passes(tmp_path: Path) -> None:
    screen_onnx(_save(tmp_path / "a.onnx"))
    assert (tmp_path / "a.onnx").exists()


def _external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def _external_without_location(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="x")


def _foreign_opset(model: onnx.ModelProto) -> None:
    model.opset_import.append(onnx.helper.make_opsetid("evil.custom", 1))


def _foreign_node(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "evil.custom"


def _function(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="")


def _sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def _subgraph(model: onnx.ModelProto) -> None:
    inner = _graph()
    inner.node[0].domain = "evil.custom"
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("body", inner))


def _external_constant(model: onnx.ModelProto) -> None:
    tensor = onnx.TensorProto(name="c", data_location=onnx.TensorProto.EXTERNAL)
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("value", tensor))


def _two_graphs_worth_of_nothing(model: onnx.ModelProto) -> None:
    model.ClearField("graph")


@pytest.mark.parametrize(
    "change",
    [
        _external,
        _external_without_location,
        _foreign_opset,
        _foreign_node,
        _function,
        _sparse,
        _subgraph,
        _external_constant,
        _two_graphs_worth_of_nothing,
    ],
)
def test_what_must_not_run_is_refused(tmp_path: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    with pytest.raises(IntegrityError):
        screen_onnx(_save(tmp_path / "a.onnx", change))


def test_operators_of_onnx_runtime_are_allowed(tmp_path: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
        model.graph.node[0].domain = "com.microsoft"

    path = _save(tmp_path / "a.onnx", change)
    screen_onnx(path)
    assert path.exists()


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        inner = _graph()
        for _ in range(12):
            outer = _graph()
            outer.node[0].attribute.append(onnx.helper.make_attribute("body", inner))
            inner = outer
        model.graph.CopyFrom(inner)

    with pytest.raises(IntegrityError, match="nested"):
        screen_onnx(_save(tmp_path / "a.onnx", change))


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_refused_and_never_crashes(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "a.onnx"
    path.write_bytes(noise)
    with pytest.raises(IntegrityError):
        screen_onnx(path)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    whole = _save(tmp_path / "a.onnx").read_bytes()
    for length in range(len(whole) - 1):
        (tmp_path / "cut.onnx").write_bytes(whole[:length])
        try:
            screen_onnx(tmp_path / "cut.onnx")
        except IntegrityError:
            continue
        # A cut between two fields is well-formed; only trailing fields, never the graph, can be missing then.
        assert onnx.load_from_string(whole[:length]).graph.node[0].op_type == "MatMul"
