"""The traced graph, and the check that stands between it and a bundle."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")
onnx = pytest.importorskip("onnx", reason="the export stage needs onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="the export stage needs ONNX Runtime")

from mvrec_edge.export import export_bundle, pipeline, random_weights  # noqa: E402
from mvrec_edge.export.check import (  # noqa: E402
    GraphCheck,
    compare_runner,
    open_runner,
    reference_embeddings,
    seeded_views,
)
from mvrec_edge.export.encoder import load_encoder  # noqa: E402
from mvrec_edge.export.graph import OPSET, trace_graph  # noqa: E402
from mvrec_edge.export.graph_file import load_graph, save_graph, weights_of  # noqa: E402
from mvrec_edge.export.views_encoder import ViewsEncoder  # noqa: E402
from mvrec_edge.runtime.bundle import Bundle, CheckRecord  # noqa: E402
from mvrec_edge.runtime.bundle.screen import screen_onnx  # noqa: E402
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, OutputError  # noqa: E402
from tests.unit.export.conftest import SMALL  # noqa: E402


@pytest.fixture(scope="module")
def module() -> ViewsEncoder:
    return ViewsEncoder(load_encoder(random_weights(SMALL, seed=0)))


@pytest.fixture(scope="module")
def graph(module: ViewsEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "encoder.onnx"
    trace_graph(module, path)
    return path


def check_graph(
    path: Path,
    module: ViewsEncoder,
    kinds: dict[str, npt.NDArray[np.uint8]],
    batches: tuple[int, ...],
    progress: Callable[[int], None] = lambda _: None,
) -> GraphCheck:
    """Both sides of a comparison, as the export does them one after the other."""
    wanted = {kind: reference_embeddings(module, views[: max(batches)], progress) for kind, views in kinds.items()}
    with open_runner(path, "fp32") as run:
        return compare_runner(run, kinds, wanted, batches, progress)


def test_drawn_weights_are_the_same_everywhere() -> None:
    """Recorded once; numpy promises that PCG64 keeps its stream."""
    digest = hashlib.sha256()
    for name, value in sorted(random_weights(SMALL, seed=0).tensors.items()):
        digest.update(name.encode() + value.numpy().tobytes())
    assert digest.hexdigest() == "8b9d054fb3b0bc6aed1734e4363630106b4018a6b2ddb5bed2e37b8f5c8fdbe9"
    other = random_weights(SMALL, seed=1).tensors["proj"]
    assert not torch.equal(other, random_weights(SMALL, seed=0).tensors["proj"])


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


def test_a_plain_graph_and_its_weights(graph: Path) -> None:
    model = onnx.load(graph, load_external_data=False)
    assert sorted(item.name for item in graph.parent.iterdir()) == ["encoder.onnx", "encoder.weights"]
    assert [(item.domain, item.version) for item in model.opset_import] == [("", OPSET)]
    assert not model.functions
    assert {node.domain for node in model.graph.node} == {""}
    screen_onnx(graph, weights_of(graph))


def test_no_trace_of_the_machine(graph: Path) -> None:
    data = graph.read_bytes()
    for word in (b"site-packages", b".py", b"/home", b"torch/", str(Path.cwd()).encode()):
        assert word not in data


def test_the_same_weights_give_the_same_bytes_and_the_exporter_is_silent(
    module: ViewsEncoder, graph: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    again = ViewsEncoder(load_encoder(random_weights(SMALL, seed=0)))
    path = tmp_path / graph.name
    capfd.readouterr()
    trace_graph(again, path)
    assert capfd.readouterr() == ("", "")
    assert path.read_bytes() == graph.read_bytes()
    assert weights_of(path).read_bytes() == weights_of(graph).read_bytes()


def test_only_the_class_token_leaves_the_last_block(graph: Path) -> None:
    """The last MLP works on one row for each view: its output has no token axis longer than one."""
    model = onnx.shape_inference.infer_shapes(onnx.load(graph))
    shapes = {
        item.name: [axis.dim_value for axis in item.type.tensor_type.shape.dim] for item in model.graph.value_info
    }
    hidden = [shapes[node.output[0]] for node in model.graph.node if node.op_type == "Sigmoid"]
    assert [shape[-2:] for shape in hidden] == [[5, 256], [1, 256]]


def test_another_process_gives_the_same_bytes(graph: Path, tmp_path: Path) -> None:
    """Nothing may hang on the order of a set, or on what was traced before."""
    program = (
        "import sys, pathlib\n"
        "from mvrec_edge.export import random_weights\n"
        "from mvrec_edge.export.encoder import load_encoder\n"
        "from mvrec_edge.export.graph import trace_graph\n"
        "from mvrec_edge.export.views_encoder import ViewsEncoder\n"
        "from mvrec_edge.runtime.bundle import TransformerArchitecture\n"
        "weights = random_weights(TransformerArchitecture(32, 16, 64, 2, 24), seed=0)\n"
        "trace_graph(ViewsEncoder(load_encoder(weights)), pathlib.Path(sys.argv[1]))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / graph.name)], env=environment, capture_output=True, check=True
    )
    assert (result.stdout, result.stderr) == (b"", b"")
    assert (tmp_path / graph.name).read_bytes() == graph.read_bytes()
    assert weights_of(tmp_path / graph.name).read_bytes() == weights_of(graph).read_bytes()


def test_only_a_cast_reads_the_input(graph: Path) -> None:
    """TensorRT takes uint8 as an input and into a cast only."""
    readers = [node.op_type for node in onnx.load(graph).graph.node if "views" in node.input]
    assert readers == ["Cast"]


def test_little_plumbing(graph: Path) -> None:
    """One shape is read for the number of views; weights are stored the way they are used."""
    model = onnx.load(graph)
    counts = Counter(node.op_type for node in model.graph.node)
    assert (counts["Shape"], counts["Expand"], counts["Gather"], counts["Concat"]) == (1, 1, 1, 2)
    weights = {item.name for item in model.graph.initializer}
    for node in model.graph.node:
        assert not (node.op_type in {"Slice", "Transpose"} and node.input[0] in weights)
    assert counts["LayerNormalization"] == 2 * SMALL.layers + 2
    # Four products with weights and two of attention in a block, the last block's queries apart; and the projection.
    assert counts["MatMul"] == 6 * SMALL.layers + 2


def test_onnxruntime_recognises_the_activation(graph: Path, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    counts = Counter(
        node.op_type for node in onnx.load(tmp_path / "optimised.onnx", load_external_data=False).graph.node
    )
    assert (counts["QuickGelu"], counts["Sigmoid"]) == (SMALL.layers, 0)
    assert counts["LayerNormalization"] == 2 * SMALL.layers + 2


def test_a_folder_that_is_not_there(graph: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save_graph(load_graph(graph), tmp_path / "nowhere" / "a.onnx")


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


def test_every_kind_of_perturbation_is_refused(module: ViewsEncoder, graph: Path, tmp_path: Path) -> None:
    """Each weight of the graph in turn, with noise of a tenth of its largest value."""
    kinds = {"noise": seeded_views(9, 32, seed=0)}
    original = onnx.load(graph)
    weights = [item.name for item in original.graph.initializer if item.data_type == onnx.TensorProto.FLOAT]
    # Equal tensors, such as biases drawn as zero, are stored once.
    assert len(weights) >= 20
    passed = []
    for name in weights:
        model = onnx.ModelProto()
        model.CopyFrom(original)
        tensor = next(item for item in model.graph.initializer if item.name == name)
        values = onnx.numpy_helper.to_array(tensor)
        noise = np.random.default_rng(0).standard_normal(values.shape) * max(float(np.abs(values).max()), 1.0) * 0.1
        tensor.CopyFrom(onnx.numpy_helper.from_array((values + noise).astype(np.float32), name))
        onnx.save(model, tmp_path / "changed.onnx")
        if check_graph(tmp_path / "changed.onnx", module, kinds, (9,)).passed():
            passed.append(name)
    assert passed == []


def test_a_graph_that_answers_nothing_usable(module: ViewsEncoder, graph: Path, tmp_path: Path) -> None:
    """NaN, zero and a missing column: numbers that can be printed, and a check that fails."""
    for value in (float("nan"), 0.0, None):
        model = onnx.load(graph)
        product = next(node for node in model.graph.node if node.output[0] == "embedding")
        tensor = next(item for item in model.graph.initializer if item.name == product.input[1])
        values = onnx.numpy_helper.to_array(tensor)
        changed = values[:, :-1] if value is None else np.full_like(values, value)
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(changed), tensor.name))
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = changed.shape[1]
        onnx.save(model, tmp_path / "changed.onnx")
        check = check_graph(tmp_path / "changed.onnx", module, {"noise": seeded_views(3, 32, seed=0)}, (1, 3))
        assert not check.passed()
        assert check.worst_cosine == -1.0
        json.dumps(check.to_dict(), allow_nan=False)


def test_a_file_that_is_no_graph(module: ViewsEncoder, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"not a graph")
    with pytest.raises(IntegrityError, match=r"a\.onnx: is not a well-formed ONNX file"):
        check_graph(tmp_path / "a.onnx", module, {"noise": seeded_views(1, 32, seed=0)}, (1,))


def test_a_check_of_nothing_is_refused() -> None:
    views = seeded_views(3, 32, seed=0)
    for kinds, batches in (({}, (1,)), ({"x": views}, ()), ({"x": views}, (0, 1)), ({"x": views}, (1, 4))):
        with pytest.raises(ValueError, match="views"):
            compare_runner(lambda views: views, kinds, {}, batches)
    assert not GraphCheck(()).passed()


def test_a_check_in_plain_types(module: ViewsEncoder, graph: Path) -> None:
    check = check_graph(graph, module, {"noise": seeded_views(9, 32, seed=0)}, (9, 1))
    rows = json.loads(json.dumps(check.to_dict()))["rows"]
    assert [(row["kind"], row["batch"]) for row in rows] == [("noise", 1), ("noise", 9)]
    assert rows[0]["batch_error"] == 0.0
    for row in rows:
        assert row["worst_cosine"] <= row["mean_cosine"] <= 1.0 + 1e-6
        assert row["batch_error"] <= 1e-4


@pytest.mark.parametrize(
    ("cosine", "error", "batch_error", "passed"),
    [
        (1.0, 0.0, 0.0, True),
        (0.99999, 1e-4, 1e-4, True),
        (0.999989, 0.0, 0.0, False),
        (1.0, 1.1e-4, 0.0, False),
        (1.0, 0.0, 1.1e-4, False),
        (float("nan"), 0.0, 0.0, False),
        (1.0, float("nan"), 0.0, False),
    ],
)
def test_limits(cosine: float, error: float, batch_error: float, passed: bool) -> None:
    good = CheckRecord("x", 1, worst_cosine=1.0, mean_cosine=1.0, largest_error=0.0)
    row = CheckRecord("y", 3, worst_cosine=cosine, mean_cosine=1.0, largest_error=error, batch_error=batch_error)
    assert GraphCheck((good, row)).passed() is passed


def test_a_graph_that_differs_is_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trace_something_else(module: ViewsEncoder, path: Path) -> None:
        bias = module.embed.bias.clone()
        module.embed.bias.copy_(torch.linspace(-1, 1, len(bias)))
        trace_graph(module, path)
        module.embed.bias.copy_(bias)

    monkeypatch.setattr(pipeline, "trace_graph", trace_something_else)
    with pytest.raises(EnvironmentUnfitError, match="does not compute what the PyTorch module computes"):
        export_bundle(random_weights(SMALL, seed=0), tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_records_what_was_checked(tmp_path: Path) -> None:
    said: list[str] = []
    export_bundle(random_weights(SMALL, seed=7), tmp_path / "b", say=said.append)
    bundle = Bundle.load(tmp_path / "b")
    (record,) = bundle.manifest.graphs
    assert {(check.kind, check.batch) for check in record.checks} == {
        (kind, batch) for kind in ("seeded noise", "rendered defects") for batch in (1, 3, 27)
    }
    assert min(check.worst_cosine for check in record.checks) >= 0.99999
    assert max(check.largest_error for check in record.checks) <= 1e-4
    assert (bundle.weights.is_random, bundle.weights.seed) == (True, 7)
    assert len(said) == 4
