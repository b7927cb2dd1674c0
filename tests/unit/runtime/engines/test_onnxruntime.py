"""ONNX Runtime: refuses what it must not run, and says why it cannot."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime import Bundle, open_engine
from mvrec_edge.runtime.bundle import EncoderArchitecture, GraphRecord, WeightsSource, write_bundle
from mvrec_edge.runtime.errors import EnvironmentUnfitError, IntegrityError, MissingDependencyError


def test_encodes_and_describes_itself(tiny_bundle: Bundle) -> None:
    with open_engine("onnxruntime", tiny_bundle, batch=2, threads=1) as engine:
        assert (engine.name, engine.device) == ("onnxruntime", "cpu, 1 threads")
        assert engine.fingerprint == tiny_bundle.fingerprint()
        assert engine.random_weights
        size = tiny_bundle.architecture.image_size
        pixels = np.random.default_rng(0).integers(0, 256, (5, size, size, 4), dtype=np.uint8)
        embeddings = engine.encode(pixels)
        assert embeddings.shape == (5, tiny_bundle.architecture.embedding_dim)
        np.testing.assert_allclose(engine.encode(pixels[3:4])[0], embeddings[3], atol=1e-5)


def _bundle_of(tmp_path: Path, graph: bytes) -> Bundle:
    with write_bundle(tmp_path / "b") as draft:
        (draft.folder / "encoder.fp32.onnx").write_bytes(graph)
        draft.finish(
            created_by="test",
            architecture=EncoderArchitecture(56, 14, 128, 3, 64),
            weights=WeightsSource("random", "tiny", "", 0),
            graphs=(GraphRecord("encoder.fp32.onnx", "fp32", ()),),
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
    with pytest.raises(MissingDependencyError, match=r"mvrec-edge\[cpu\]"):
        open_engine("onnxruntime", tiny_bundle)
