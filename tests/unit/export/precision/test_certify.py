"""Certificates: what is compared, what is refused, and what travels in the bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")
onnx = pytest.importorskip("onnx", reason="the export stage needs onnx")

from mvrec_edge.export import export_bundle, random_weights  # noqa: E402
from mvrec_edge.export.check import seeded_views  # noqa: E402
from mvrec_edge.export.encoder import load_encoder  # noqa: E402
from mvrec_edge.export.graph import trace_graph  # noqa: E402
from mvrec_edge.export.precision import Calibration, Certifier, write_variant  # noqa: E402
from mvrec_edge.export.rendered_views import rendered_views  # noqa: E402
from mvrec_edge.export.views_encoder import ViewsEncoder  # noqa: E402
from mvrec_edge.runtime.bundle import Bundle, EncoderArchitecture, Golden, LabelRecord  # noqa: E402
from mvrec_edge.runtime.errors import EnvironmentUnfitError, MissingDependencyError  # noqa: E402

SMALL = EncoderArchitecture(32, 16, 64, 2, 24)


def _calibration(flips: int = 0) -> Calibration:
    views = rendered_views(8, 32, seed=5).reshape(4, 2, 32, 32, 4)

    def compare(reference: np.ndarray, answers: np.ndarray) -> LabelRecord:
        assert reference.shape == answers.shape == (4, 2, 24)
        return LabelRecord(4, flips, 3, 3, 0.01, 0.02)

    return Calibration(views, compare)


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> tuple[ViewsEncoder, Path]:
    module = ViewsEncoder(load_encoder(random_weights(SMALL, seed=0)))
    path = tmp_path_factory.mktemp("graph") / "encoder.fp32.onnx"
    trace_graph(module, path)
    return module, path


def _certifier(module: ViewsEncoder, calibration: Calibration | None = None) -> Certifier:
    return Certifier(module, {"seeded noise": seeded_views(27, 32, seed=0)}, calibration)


def _spoilt(exact: Path, folder: Path, size: float) -> Path:
    """The fp16 graph with noise on one weight, far below what fp32 may differ by or above what fp16 may."""
    write_variant("fp16", exact, folder / "encoder.fp16.onnx", np.empty(0, np.uint8))
    model = onnx.load(folder / "encoder.fp16.onnx")
    tensor = next(item for item in model.graph.initializer if item.data_type == onnx.TensorProto.FLOAT16)
    values = onnx.numpy_helper.to_array(tensor)
    noise = np.random.default_rng(0).standard_normal(values.shape) * size
    tensor.CopyFrom(onnx.numpy_helper.from_array((values + noise).astype(np.float16), tensor.name))
    (folder / "encoder.fp16.onnx").write_bytes(model.SerializeToString())
    return folder / "encoder.fp16.onnx"


def test_a_graph_below_its_limits_is_refused_unless_accepted(exact: tuple[ViewsEncoder, Path], tmp_path: Path) -> None:
    module, path = exact
    graph = _spoilt(path, tmp_path, 1.0)
    with pytest.raises(EnvironmentUnfitError, match="fp16 graph is below its limits on seeded views"):
        _certifier(module).certify(graph, "fp16")
    record = _certifier(module).certify(graph, "fp16", accept=True)
    assert not record.within_limits
    assert min(check.worst_cosine for check in record.checks) < 0.9995


def test_fp32_is_never_accepted_below_its_limits(exact: tuple[ViewsEncoder, Path], tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfitError, match="does not compute what the PyTorch module computes"):
        _certifier(exact[0]).certify(_spoilt(exact[1], tmp_path, 1.0), "fp32", accept=True)


def test_a_flipped_decision_is_refused(exact: tuple[ViewsEncoder, Path], tmp_path: Path) -> None:
    module, path = exact
    graph = _spoilt(path, tmp_path, 0.0)
    with pytest.raises(EnvironmentUnfitError, match=r"on calibration views: .*1 of 4 decisions differ \(limit 0\)"):
        _certifier(module, _calibration(flips=1)).certify(graph, "fp16")
    record = _certifier(module, _calibration()).certify(graph, "fp16")
    assert record.within_limits
    assert record.labels == LabelRecord(4, 0, 3, 3, 0.01, 0.02)
    assert {check.kind for check in record.judged_checks} == {"calibration views"}


def test_golden_views_are_never_the_users(exact: tuple[ViewsEncoder, Path]) -> None:
    certifier = _certifier(exact[0], _calibration())
    certifier.certify(exact[1], "fp32")
    golden = certifier.golden(["fp32"])
    np.testing.assert_array_equal(golden.views, seeded_views(27, 32, seed=0)[: len(golden.views)])
    np.testing.assert_allclose(golden.embeddings["fp32"], golden.reference, atol=1e-4)


def test_work_counts_every_view(exact: tuple[ViewsEncoder, Path]) -> None:
    seen: list[int] = []
    kinds = {"seeded noise": seeded_views(27, 32, seed=0)}
    Certifier(exact[0], kinds, _calibration(), seen.append).certify(exact[1], "fp32")
    assert sum(seen) == Certifier.work(1, _calibration(), 1)


def test_a_bundle_of_every_precision(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="bf16 is checked in OpenVINO")
    pytest.importorskip("nncf", reason="int8 is made by NNCF")
    export_bundle(
        random_weights(SMALL, seed=1),
        tmp_path / "b",
        precisions=("int8", "fp32", "bf16", "fp16"),
        calibration=_calibration(),
    )
    bundle = Bundle.load(tmp_path / "b")
    assert bundle.precisions == ("fp32", "fp16", "bf16", "int8")
    assert len({bundle.fingerprint(name) for name in bundle.precisions}) == 4
    assert [graph.engine for graph in bundle.manifest.graphs] == [
        "onnxruntime",
        "onnxruntime",
        "openvino",
        "onnxruntime",
    ]
    assert [graph.calibrated_on for graph in bundle.manifest.graphs] == ["", "", "", "calibration views"]
    assert set(Golden.of(bundle).embeddings) == set(bundle.precisions)
    nodes = onnx.load(bundle.graph("int8")).graph.node
    by_output = {name: node for node in nodes for name in node.output}
    quantised = {
        node.op_type
        for node in nodes
        if any(by_output.get(name, node).op_type == "DequantizeLinear" for name in node.input)
    }
    assert "MatMul" in quantised
    # TensorRT has no zero points.
    zeros = {node.input[2] for node in nodes if node.op_type == "QuantizeLinear"}
    values = [
        onnx.numpy_helper.to_array(item)
        for item in onnx.load(bundle.graph("int8")).graph.initializer
        if item.name in zeros
    ]
    assert values
    assert all(value.dtype == np.int8 and not value.any() for value in values)
    assert "Conv" not in quantised
    final = next(node for node in nodes if "embedding" in node.output)
    assert all(by_output[name].op_type != "DequantizeLinear" for name in final.input if name in by_output)


def test_the_float32_graph_need_not_stay(tmp_path: Path) -> None:
    export_bundle(random_weights(SMALL, seed=1), tmp_path / "b", precisions=("fp16",))
    bundle = Bundle.load(tmp_path / "b")
    assert bundle.precisions == ("fp16",)
    assert sorted(item.name for item in bundle.path.iterdir()) == [
        "encoder.fp16.onnx",
        "golden.safetensors",
        "manifest.json",
    ]


def test_without_the_quantiser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nncf", None)
    with pytest.raises(MissingDependencyError, match=r"mvrec-edge\[int8\]"):
        export_bundle(random_weights(SMALL, seed=1), tmp_path / "b", precisions=("int8",))
    assert list(tmp_path.iterdir()) == []
