"""Certificates: what is compared, what is refused, and what travels in the bundle."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")
onnx = pytest.importorskip("onnx", reason="the export stage needs onnx")

from mvrec_edge.export import check, export_bundle, pipeline, random_weights  # noqa: E402  # noqa: E402
from mvrec_edge.export.check import seeded_views  # noqa: E402
from mvrec_edge.export.encoder import load_encoder  # noqa: E402
from mvrec_edge.export.fusion import FusedGraph, write_fused  # noqa: E402
from mvrec_edge.export.graph import trace_graph  # noqa: E402
from mvrec_edge.export.graph_file import load_graph, load_outline, save_graph, save_outline, weights_of  # noqa: E402
from mvrec_edge.export.precision import (  # noqa: E402
    Calibration,
    Certifier,
    certify,
    write_variant,
)
from mvrec_edge.export.rendered_views import rendered_views  # noqa: E402
from mvrec_edge.export.views_encoder import ViewsEncoder  # noqa: E402
from mvrec_edge.runtime.bundle import Bundle, Golden, LabelRecord  # noqa: E402
from mvrec_edge.runtime.errors import EnvironmentUnfitError, MissingDependencyError  # noqa: E402
from mvrec_edge.runtime.installing import install_extra  # noqa: E402
from tests.unit.export.conftest import SMALL  # noqa: E402


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


@pytest.fixture(autouse=True)
def _traced_once(exact: tuple[ViewsEncoder, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """All encoders here are one, whose graph `exact` has: what comes after the tracing is tried."""
    module, traced = exact

    def copy(same: ViewsEncoder, path: Path) -> None:
        wanted = module.state_dict()
        assert all(torch.equal(value, wanted[name]) for name, value in same.state_dict().items())
        shutil.copyfile(traced, path)
        shutil.copyfile(weights_of(traced), weights_of(path))

    monkeypatch.setattr(pipeline, "trace_graph", copy)


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
        random_weights(SMALL, seed=0),
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
    export_bundle(random_weights(SMALL, seed=0), tmp_path / "b", precisions=("fp16",))
    bundle = Bundle.load(tmp_path / "b")
    assert bundle.precisions == ("fp16",)
    assert sorted(item.name for item in bundle.path.iterdir()) == [
        "encoder.fp16.onnx",
        "encoder.fp16.onnxruntime-cuda.onnx",
        "encoder.fp16.weights",
        "golden.safetensors",
        "manifest.json",
    ]


def _worse(source: Path, target: Path) -> None:
    """Writes an fp16 graph that is far below its limits."""
    write_variant("fp16", source, target, np.empty(0, np.uint8))
    model = load_graph(target)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT16:
            values = onnx.numpy_helper.to_array(tensor)
            noise = np.random.default_rng(0).standard_normal(values.shape)
            tensor.CopyFrom(onnx.numpy_helper.from_array((values + noise).astype(np.float16), tensor.name))
    save_graph(model, target)


@pytest.fixture
def coarse_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(precision: str, source: Path, target: Path, views: np.ndarray) -> None:
        if precision == "fp16":
            _worse(source, target)
        else:
            write_variant(precision, source, target, views)

    monkeypatch.setattr(pipeline, "write_variant", write)


@pytest.mark.usefixtures("coarse_fp16")
def test_what_passed_is_written_and_what_did_not_is_named(tmp_path: Path) -> None:
    failures: list[EnvironmentUnfitError] = []
    bundle = export_bundle(
        random_weights(SMALL, seed=0), tmp_path / "b", precisions=("fp32", "fp16"), left_out=failures.append
    )
    assert bundle.precisions == ("fp32",)
    assert sorted(item.name for item in bundle.path.iterdir()) == [
        "encoder.fp32.onnx",
        "encoder.fp32.weights",
        "golden.safetensors",
        "manifest.json",
    ]
    assert set(Golden.of(bundle).embeddings) == {"fp32"}
    (failure,) = failures
    assert "the fp16 graph is below its limits on seeded views: worst cosine " in str(failure)
    assert "(limit 0.9995)" in str(failure)
    assert str(failure).endswith(
        "(give your own labelled defects with --calibration, leave fp16 out, or give --accept)"
    )


@pytest.mark.usefixtures("coarse_fp16")
def test_whoever_does_not_ask_for_it_gets_the_error_after_the_bundle(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfitError, match="fp16 graph is below its limits"):
        export_bundle(random_weights(SMALL, seed=0), tmp_path / "b", precisions=("fp32", "fp16"))
    assert Bundle.load(tmp_path / "b").precisions == ("fp32",)


@pytest.mark.usefixtures("coarse_fp16")
def test_where_nothing_passed_nothing_is_written(tmp_path: Path) -> None:
    failures: list[EnvironmentUnfitError] = []
    with pytest.raises(EnvironmentUnfitError, match="fp16 graph is below its limits"):
        export_bundle(random_weights(SMALL, seed=0), tmp_path / "b", precisions=("fp16",), left_out=failures.append)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("coarse_fp16")
def test_an_accepted_graph_is_written_with_its_variant(tmp_path: Path) -> None:
    bundle = export_bundle(random_weights(SMALL, seed=0), tmp_path / "b", precisions=("fp16",), accept=True)
    (record,) = bundle.manifest.graphs
    assert not record.within_limits
    assert [variant.within_limits for variant in record.variants] == [False]


def test_a_variant_below_its_limits_is_left_out_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(graph: Path, precision: str) -> FusedGraph | None:
        fused = write_fused(graph, precision)
        if fused is not None:
            model = load_outline(fused.path)
            for node in model.graph.node:
                if node.op_type == "QuickGelu":
                    node.attribute[0].f *= 3
            save_outline(model, fused.path)
        return fused

    monkeypatch.setattr(pipeline, "write_fused", write)
    failures: list[EnvironmentUnfitError] = []
    bundle = export_bundle(
        random_weights(SMALL, seed=0), tmp_path / "b", precisions=("fp16",), left_out=failures.append
    )
    (record,) = bundle.manifest.graphs
    assert record.within_limits
    assert record.variants == ()
    assert not list(bundle.path.glob("*cuda*"))
    assert "the fp16 graph for onnxruntime-cuda is below its limits" in str(failures[0])


def test_a_gpu_variant_that_the_cpu_cannot_run_is_written_and_said_not_to_have_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_runner(path: Path, precision: str, **rest: Any) -> contextlib.AbstractContextManager[check.Runner]:
        if "cuda" in path.name:
            raise EnvironmentUnfitError("there is no such kernel")
        return check.open_runner(path, precision, **rest)

    monkeypatch.setattr(certify, "open_runner", open_runner)
    bundle = export_bundle(random_weights(SMALL, seed=0), tmp_path / "b", precisions=("fp16",))
    (variant,) = bundle.manifest.graphs[0].variants
    assert (variant.target, variant.checks, variant.engine) == ("onnxruntime-cuda", (), "")
    assert bundle.variant("fp16", "onnxruntime-cuda") is not None


def test_without_the_quantiser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nncf", None)
    with pytest.raises(MissingDependencyError, match=re.escape(install_extra("int8"))):
        export_bundle(random_weights(SMALL, seed=0), tmp_path / "b", precisions=("int8",))
    assert list(tmp_path.iterdir()) == []
