"""ONNX Runtime: refuses what it must not run, and says why it cannot."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime import Bundle, open_engine
from mvrec_edge.runtime.bundle import GraphRecord, TransformerArchitecture, WeightsSource, write_bundle
from mvrec_edge.runtime.engines.onnxruntime import onnxruntime_engine, open_session
from mvrec_edge.runtime.engines.onnxruntime.cpu_session import CpuSession
from mvrec_edge.runtime.engines.processor import Processor
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, MissingDependencyError, UsageError
from mvrec_edge.runtime.installing import install_extra
from tests.unit.runtime.engines.sharing import check_shared_by_threads
from tests.unit.runtime.engines.watching import check_forked, check_watched


def test_encodes_and_describes_itself(tiny_bundle: Bundle) -> None:
    with open_engine("onnxruntime", tiny_bundle, batch=2, threads=1) as engine:
        assert (engine.name, engine.device) == ("onnxruntime", "cpu, 1 thread")
        assert engine.fingerprint == tiny_bundle.fingerprint()
        assert engine.random_weights
        size = tiny_bundle.architecture.image_size
        pixels = np.random.default_rng(0).integers(0, 256, (5, size, size, 4), dtype=np.uint8)
        embeddings = engine.encode(pixels)
        assert embeddings.shape == (5, tiny_bundle.architecture.embedding_dim)
        np.testing.assert_allclose(engine.encode(pixels[3:4])[0], embeddings[3], atol=1e-5)


def test_weights_are_mapped_and_not_read(precisions_bundle: Bundle) -> None:
    mappings = Path("/proc/self/maps")
    if not mappings.exists():
        pytest.skip("the system has no list of mappings")
    session = open_session(precisions_bundle.graph("fp32"), "fp32")
    assert str(precisions_bundle.path / "encoder.fp32.weights") in mappings.read_text()
    session.close()


def test_weights_of_another_graph_in_the_working_directory_are_never_taken(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = tiny_bundle.graph("fp32").absolute()
    size = tiny_bundle.architecture.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 4), dtype=np.uint8)
    wanted = open_session(graph, "fp32").run(pixels)
    weights = tiny_bundle.path.absolute() / "encoder.fp32.weights"
    (tmp_path / weights.name).write_bytes(bytes(weights.stat().st_size))
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(open_session(graph, "fp32").run(pixels), wanted)


def test_the_variant_of_the_bundle_is_run_where_it_fits(
    precisions_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for is_x86, fused in ((True, ", 18 fused products"), (False, "")):
        monkeypatch.setattr(onnxruntime_engine, "read_processor", lambda found=is_x86: Processor(found, True))
        with open_engine("onnxruntime", precisions_bundle, precision="int8", threads=1) as engine:
            assert engine.device == f"cpu, 1 thread{fused}"
        with open_engine("onnxruntime", precisions_bundle, precision="fp16", threads=1) as engine:
            assert engine.device == "cpu, 1 thread"


@pytest.mark.parametrize("processor", [Processor(True, True), Processor(True, False), Processor(False, True)])
def test_an_int8_graph_on_every_processor(precisions_bundle: Bundle, processor: Processor) -> None:
    """What the session asks of ONNX Runtime on each, carried out by this machine's."""
    library = pytest.importorskip("onnxruntime")
    size = precisions_bundle.architecture.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 4), dtype=np.uint8)
    fused, _ = precisions_bundle.variant("int8", "onnxruntime-x86") or pytest.fail("it is listed")
    answers = [
        CpuSession(library, graph, "int8", 1, processor).run(pixels)
        for graph in (fused, precisions_bundle.graph("int8"))
    ]
    norms = [np.linalg.norm(answer, axis=1) for answer in answers]
    assert ((answers[0] * answers[1]).sum(axis=1) / (norms[0] * norms[1])).min() > 0.999


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
    with pytest.raises(IntegrityError, match="not a well-formed ONNX file"):
        open_engine("onnxruntime", _bundle_of(tmp_path, b"not a graph"))


def test_a_graph_the_library_cannot_load_is_one_line(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx makes the graph")
    helper = onnx.helper
    value = helper.make_tensor_value_info("views", onnx.TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("NoSuchOperator", ["views"], ["embedding"])], "g", [value], [value])
    with pytest.raises(EnvironmentUnfitError, match="cannot load the graph") as caught:
        open_engine("onnxruntime", _bundle_of(tmp_path, helper.make_model(graph).SerializeToString()))
    assert "\n" not in str(caught.value)


def test_a_missing_library_names_the_extra(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=re.escape(install_extra("cpu"))):
        open_engine("onnxruntime", tiny_bundle)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there_never_becomes_the_cpu(tiny_bundle: Bundle, provider: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if len(onnxruntime.get_available_providers()) > 2:
        pytest.skip("this build of ONNX Runtime has GPU providers")
    with pytest.raises(EnvironmentUnfitError, match=r"has no (CUDA|Tensorrt)ExecutionProvider, it has .*\[gpu\]"):
        open_engine("onnxruntime", tiny_bundle, provider=provider)


def test_a_provider_that_is_listed_and_does_not_load(tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's own answer to that is the CPU, and a line in its log."""
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(EnvironmentUnfitError, match="does not run on CUDAExecutionProvider: "):
        open_engine("onnxruntime", tiny_bundle, provider="cuda")


def test_names_that_do_not_exist(tiny_bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="no provider 'abacus'"):
        open_engine("onnxruntime", tiny_bundle, provider="abacus")
    with pytest.raises(UsageError, match="has no providers"):
        open_engine("openvino", tiny_bundle, provider="cuda")
    with pytest.raises(UsageError, match="there is no precision 'fp8'"):
        open_engine("onnxruntime", tiny_bundle, precision="fp8")
    with pytest.raises(UsageError, match="the bundle has no int8 graph, it has fp32"):
        open_engine("onnxruntime", tiny_bundle, precision="int8")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_each_precision_is_an_engine_of_its_own(precisions_bundle: Bundle, precision: str) -> None:
    size = precisions_bundle.architecture.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (4, size, size, 4), dtype=np.uint8)
    with open_engine("onnxruntime", precisions_bundle) as exact:
        wanted = exact.encode(pixels)
        assert exact.precision == "fp32"
    with open_engine("onnxruntime", precisions_bundle, precision=precision) as engine:
        assert (engine.precision, engine.fingerprint) == (precision, precisions_bundle.fingerprint(precision))
        got = engine.encode(pixels)
    cosine = (got * wanted).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosine.min() > {"fp32": 0.999999, "fp16": 0.9999, "int8": 0.97}[precision]


def test_bfloat16_has_no_kernel_here(precisions_bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="onnxruntime on cpu cannot run a bf16 graph, it runs fp32, fp16, int8"):
        open_engine("onnxruntime", precisions_bundle, precision="bf16")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_threads_get_their_own_embeddings(precisions_bundle: Bundle, precision: str) -> None:
    with open_engine("onnxruntime", precisions_bundle, precision=precision, batch=2, threads=1) as engine:
        check_shared_by_threads(engine)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_files_are_watched(precisions_bundle: Bundle, precision: str) -> None:
    check_watched(precisions_bundle, lambda bundle: open_engine("onnxruntime", bundle, precision=precision, threads=1))


def test_a_forked_child_is_told(tiny_bundle: Bundle) -> None:
    with open_engine("onnxruntime", tiny_bundle, threads=2) as engine:
        check_forked(engine)
