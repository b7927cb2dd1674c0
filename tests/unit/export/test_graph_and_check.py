"""The traced graph, and the check that stands between it and a bundle."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")
onnx = pytest.importorskip("onnx", reason="the export stage needs onnx")

from mvrec_edge.export import export_bundle, pipeline, random_weights  # noqa: E402
from mvrec_edge.export.check import GraphCheck, check_graph, seeded_views  # noqa: E402
from mvrec_edge.export.encoder import load_encoder  # noqa: E402
from mvrec_edge.export.graph import OPSET, trace_graph  # noqa: E402
from mvrec_edge.export.views_encoder import ViewsEncoder  # noqa: E402
from mvrec_edge.runtime.bundle import Bundle, CheckRecord, EncoderArchitecture  # noqa: E402
from mvrec_edge.runtime.bundle.onnx_screen import screen_onnx  # noqa: E402
from mvrec_edge.runtime.errors import EnvironmentUnfitError  # noqa: E402

TINY = EncoderArchitecture(32, 16, 64, 2, 24)


@pytest.fixture(scope="module")
def module() -> ViewsEncoder:
    return ViewsEncoder(load_encoder(random_weights(TINY, seed=0)))


@pytest.fixture(scope="module")
def graph(module: ViewsEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "encoder.onnx"
    trace_graph(module, path)
    return path


def test_drawn_weights_are_the_same_everywhere() -> None:
    """Recorded once; numpy promises that PCG64 keeps its stream."""
    digest = hashlib.sha256()
    for name, value in sorted(random_weights(TINY, seed=0).tensors.items()):
        digest.update(name.encode() + value.numpy().tobytes())
    assert digest.hexdigest() == "8b9d054fb3b0bc6aed1734e4363630106b4018a6b2ddb5bed2e37b8f5c8fdbe9"
    other = random_weights(TINY, seed=1).tensors["proj"]
    assert not torch.equal(other, random_weights(TINY, seed=0).tensors["proj"])


def test_interface(graph: Path) -> None:
    model = onnx.load(graph)
    onnx.checker.check_model(model)
    (views,), (embedding,) = model.graph.input, model.graph.output
    assert (views.name, embedding.name) == ("views", "embedding")
    assert views.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert embedding.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert [axis.dim_value for axis in views.type.tensor_type.shape.dim] == [0, 32, 32, 4]
    assert views.type.tensor_type.shape.dim[0].dim_param == "N"
    assert [axis.dim_value for axis in embedding.type.tensor_type.shape.dim] == [0, 24]


def test_one_plain_file(graph: Path) -> None:
    model = onnx.load(graph, load_external_data=False)
    assert [item.name for item in graph.parent.iterdir()] == ["encoder.onnx"]
    assert [(item.domain, item.version) for item in model.opset_import] == [("", OPSET)]
    assert not model.functions
    assert {node.domain for node in model.graph.node} == {""}
    screen_onnx(graph)


def test_no_trace_of_the_machine(graph: Path) -> None:
    data = graph.read_bytes()
    for word in (b"site-packages", b".py", b"/home", b"torch/", str(Path.cwd()).encode()):
        assert word not in data


def test_the_same_weights_give_the_same_bytes(module: ViewsEncoder, graph: Path, tmp_path: Path) -> None:
    again = ViewsEncoder(load_encoder(random_weights(TINY, seed=0)))
    trace_graph(again, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == graph.read_bytes()


def test_only_the_class_token_leaves_the_last_block(graph: Path) -> None:
    """The last MLP works on one row for each view: its output has no token axis longer than one."""
    model = onnx.shape_inference.infer_shapes(onnx.load(graph))
    shapes = {
        item.name: [axis.dim_value for axis in item.type.tensor_type.shape.dim] for item in model.graph.value_info
    }
    hidden = [shapes[node.output[0]] for node in model.graph.node if node.op_type == "Sigmoid"]
    assert [shape[-2:] for shape in hidden] == [[5, 256], [1, 256]]


def test_the_check_passes_the_traced_graph(module: ViewsEncoder, graph: Path) -> None:
    seen: list[int] = []
    kinds = {"noise": seeded_views(9, 32, seed=0), "black": np.zeros((9, 32, 32, 4), np.uint8)}
    check = check_graph(graph, module, kinds, (1, 3, 9), seen.append)
    assert check.passed()
    assert [(row.kind, row.batch) for row in check.rows] == [
        ("noise", 1),
        ("noise", 3),
        ("noise", 9),
        ("black", 1),
        ("black", 3),
        ("black", 9),
    ]
    assert sum(seen) == 2 * (9 + 13)


def test_the_check_refuses_a_changed_graph(module: ViewsEncoder, graph: Path, tmp_path: Path) -> None:
    model = onnx.load(graph)
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim == 2:
            changed = values.copy()
            changed[0] *= 1.5
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))
            break
    onnx.save(model, tmp_path / "changed.onnx")
    check = check_graph(tmp_path / "changed.onnx", module, {"noise": seeded_views(9, 32, seed=0)}, (9,))
    assert not check.passed()


@pytest.mark.parametrize(
    ("cosine", "error", "passed"),
    [(1.0, 0.0, True), (0.99999, 1e-4, True), (0.999989, 0.0, False), (1.0, 1.1e-4, False), (float("nan"), 0, False)],
)
def test_limits(cosine: float, error: float, passed: bool) -> None:
    check = GraphCheck((CheckRecord("x", 1, 1.0, 0.0), CheckRecord("y", 3, cosine, error)))
    assert check.passed() is passed


def test_a_graph_that_differs_is_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trace_something_else(module: ViewsEncoder, path: Path) -> None:
        bias = module.embed.bias.clone()
        module.embed.bias.copy_(torch.linspace(-1, 1, len(bias)))
        trace_graph(module, path)
        module.embed.bias.copy_(bias)

    monkeypatch.setattr(pipeline, "trace_graph", trace_something_else)
    with pytest.raises(EnvironmentUnfitError, match="does not compute what the PyTorch module computes"):
        export_bundle(random_weights(TINY, seed=0), tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_records_what_was_checked(tmp_path: Path) -> None:
    said: list[str] = []
    export_bundle(random_weights(TINY, seed=7), tmp_path / "b", say=said.append)
    bundle = Bundle.load(tmp_path / "b")
    (record,) = bundle.manifest.graphs
    assert {(check.kind, check.batch) for check in record.checks} == {
        (kind, batch) for kind in ("seeded noise", "rendered defects") for batch in (1, 3, 27)
    }
    assert min(check.worst_cosine for check in record.checks) >= 0.99999
    assert max(check.largest_error for check in record.checks) <= 1e-4
    assert (bundle.weights.is_random, bundle.weights.seed) == (True, 7)
    assert len(said) == 4
