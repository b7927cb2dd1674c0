"""OpenVINO: the same embeddings as ONNX Runtime, at every precision."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime import Bundle, open_engine
from mvrec_edge.runtime.bundle import GraphRecord, TransformerArchitecture, WeightsSource, write_bundle
from mvrec_edge.runtime.engines.openvino import OpenVinoSession
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, MissingDependencyError
from mvrec_edge.runtime.installing import install_extra
from tests.unit.runtime.engines.sharing import check_shared_by_threads
from tests.unit.runtime.engines.watching import check_forked, check_watched


def _pixels(bundle: Bundle, count: int = 5) -> np.ndarray:
    size = bundle.architecture.image_size
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 4), dtype=np.uint8)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


@pytest.mark.parametrize(
    ("precision", "limit"), [("fp32", 0.999999), ("fp16", 0.9999), ("bf16", 0.9999), ("int8", 0.97)]
)
def test_every_precision(precisions_bundle: Bundle, precision: str, limit: float) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is what is tested")
    pixels = _pixels(precisions_bundle)
    with open_engine("onnxruntime", precisions_bundle) as exact:
        wanted = exact.encode(pixels)
    with open_engine("openvino", precisions_bundle, precision=precision, batch=2, threads=1) as engine:
        assert engine.name == "openvino"
        assert engine.device.startswith("cpu, 1 thread, ")
        assert engine.fingerprint == precisions_bundle.fingerprint(precision)
        got = engine.encode(pixels)
        assert got.dtype == np.float32
        assert _cosine(got, wanted) >= limit
        # The request reuses its memory; an answer given out must not change.
        kept = got.copy()
        engine.encode(pixels[::-1].copy())
        np.testing.assert_array_equal(got, kept)


def test_a_typed_graph_keeps_its_float32_parts(precisions_bundle: Bundle) -> None:
    """With bfloat16 throughout, as a hint would have it, the distance to float32 is several times as large."""
    pytest.importorskip("openvino", reason="OpenVINO is what is tested")
    assert "f32 between the products" in OpenVinoSession(precisions_bundle.graph("bf16"), "bf16").device


def test_weights_are_mapped_and_not_read(precisions_bundle: Bundle) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is what is tested")
    mappings = Path("/proc/self/maps")
    if not mappings.exists():
        pytest.skip("the system has no list of mappings")
    for precision in precisions_bundle.precisions:
        session = OpenVinoSession(precisions_bundle.graph(precision), precision)
        assert f"encoder.{precision}.weights" in mappings.read_text(), precision
        session.close()


def test_a_version_that_lacks_what_rewriting_takes_runs_the_graph_as_it_is(
    precisions_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = pytest.importorskip("openvino", reason="OpenVINO is what is tested")
    pixels = _pixels(precisions_bundle)
    rewritten = OpenVinoSession(precisions_bundle.graph("fp32"), "fp32").run(pixels)
    monkeypatch.setattr(openvino, "opset13", None)
    plain = OpenVinoSession(precisions_bundle.graph("fp32"), "fp32").run(pixels)
    np.testing.assert_allclose(plain, rewritten, atol=1e-5 * np.abs(rewritten).max())


def test_sessions_come_and_go(precisions_bundle: Bundle) -> None:
    """Pages that one gives back while it is opened are those that another computes from."""
    pytest.importorskip("openvino", reason="OpenVINO is what is tested")
    pixels = _pixels(precisions_bundle)
    kept = OpenVinoSession(precisions_bundle.graph("fp32"), "fp32")
    first = kept.run(pixels)
    for _ in range(3):
        # One is closed, the other forgotten.
        OpenVinoSession(precisions_bundle.graph("int8"), "int8").close()
        OpenVinoSession(precisions_bundle.graph("bf16"), "bf16").run(pixels)
    np.testing.assert_array_equal(kept.run(pixels), first)
    # With other batch sizes the library may pack the weights anew.
    np.testing.assert_allclose(kept.run(pixels[:2]), first[:2], atol=1e-4)


def test_a_missing_library_names_the_extra(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=re.escape(install_extra("openvino"))):
        open_engine("openvino", tiny_bundle)


def _bundle_of(tmp_path: Path, graph: bytes) -> Bundle:
    with write_bundle(tmp_path / "b") as draft:
        (draft.folder / "encoder.fp32.onnx").write_bytes(graph)
        (draft.folder / "encoder.fp32.weights").write_bytes(b"")
        draft.finish(
            created_by="test",
            architecture=TransformerArchitecture(56, 14, 128, 3, 64),
            weights=WeightsSource("random", "tiny", "", 0),
            graphs=(GraphRecord("encoder.fp32.onnx", "encoder.fp32.weights", "fp32"),),
        )
    return Bundle.load(tmp_path / "b")


def test_what_is_no_graph_never_reaches_the_library(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is what is tested")
    with pytest.raises(IntegrityError, match="not a well-formed ONNX file"):
        open_engine("openvino", _bundle_of(tmp_path, b"not a graph"))


def test_a_graph_the_library_cannot_load_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is what is tested")
    onnx = pytest.importorskip("onnx", reason="onnx makes the graph")
    helper = onnx.helper
    views = helper.make_tensor_value_info("views", onnx.TensorProto.FLOAT, [2, 3])
    embedding = helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, [2, 2])
    # A product of a matrix with itself, whose sides do not fit.
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["views", "views"], ["embedding"])], "g", [views], [embedding]
    )
    with pytest.raises(EnvironmentUnfitError, match=r"OpenVINO .* cannot load the graph") as caught:
        open_engine("openvino", _bundle_of(tmp_path, helper.make_model(graph).SerializeToString()))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_threads_get_their_own_embeddings(precisions_bundle: Bundle, precision: str) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is what is tested")
    with open_engine("openvino", precisions_bundle, precision=precision, batch=2, threads=1) as engine:
        check_shared_by_threads(engine)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_files_are_watched(precisions_bundle: Bundle, precision: str) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is what is tested")
    check_watched(precisions_bundle, lambda bundle: open_engine("openvino", bundle, precision=precision, threads=1))


def test_a_forked_child_is_told(tiny_bundle: Bundle) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is what is tested")
    with open_engine("openvino", tiny_bundle, threads=2) as engine:
        check_forked(engine)


def test_a_child_that_was_forked_beside_an_engine_ends() -> None:
    """By itself it would wait in the library's destructor for threads that it does not have."""
    pytest.importorskip("openvino", reason="OpenVINO is what is tested")
    script = (
        "import os; from mvrec_edge.pocket import POCKET_BUNDLE; from mvrec_edge.runtime import Bundle, open_engine;"
        "engine = open_engine('openvino', Bundle.load(POCKET_BUNDLE), threads=2);"
        "child = os.fork(); child == 0 or (os.waitpid(child, 0), engine.close())"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=100)
