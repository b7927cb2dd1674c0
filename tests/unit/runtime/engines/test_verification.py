"""Golden views on this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from mvrec_edge.runtime.bundle import Bundle, Golden, write_bundle
from mvrec_edge.runtime.engines.verification import verify_bundle
from mvrec_edge.runtime.errors import IntegrityError


def _changed(bundle: Bundle, folder: Path, change: dict[str, np.ndarray] | None) -> Bundle:
    """A copy of a bundle with other golden tensors, whole and with a manifest of its own; None leaves them out."""
    with write_bundle(folder / "changed") as draft:
        for record in bundle.manifest.files:
            (draft.folder / record.name).write_bytes((bundle.path / record.name).read_bytes())
        file = draft.folder / "golden.safetensors"
        if change is None:
            file.unlink()
        else:
            file.write_bytes(safetensors.numpy.save(safetensors.numpy.load_file(file) | change))
        manifest = bundle.manifest
        draft.finish(
            created_by="test", architecture=manifest.architecture, weights=manifest.weights, graphs=manifest.graphs
        )
    return Bundle.load(folder / "changed")


def test_the_machine_that_exported_passes(tiny_bundle: Bundle) -> None:
    (verdict,) = verify_bundle(tiny_bundle, [("onnxruntime", None)])
    assert verdict.passed is True
    assert verdict.cosine is not None
    assert verdict.cosine > 0.999999
    assert verdict.device.startswith("cpu")


def test_another_answer_fails(tiny_bundle: Bundle, tmp_path: Path) -> None:
    golden = Golden.of(tiny_bundle)
    other = golden.embeddings["fp32"].copy()
    other[3] += 0.05 * np.linalg.norm(other[3])
    (verdict,) = verify_bundle(_changed(tiny_bundle, tmp_path, {"embeddings.fp32": other}), [("onnxruntime", None)])
    assert verdict.passed is False
    assert verdict.reference_cosine == pytest.approx(1.0, abs=1e-6)


def test_what_cannot_run_is_said(tiny_bundle: Bundle) -> None:
    seen: list[int] = []
    verdicts = list(verify_bundle(tiny_bundle, [("onnxruntime", "cuda"), ("onnxruntime", None)], progress=seen.append))
    if verdicts[0].passed is None:
        assert "CUDAExecutionProvider" in verdicts[0].reason
    assert verdicts[0].engine == "onnxruntime:cuda"
    assert verdicts[1].passed is True
    assert seen == [1, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"views": np.zeros((10, 55, 56, 4), np.uint8)},
        {"reference": np.zeros((10, 63), np.float32)},
        {"embeddings.fp32": np.zeros((10, 64), np.float64)},
    ],
)
def test_golden_views_that_do_not_fit(tiny_bundle: Bundle, tmp_path: Path, change: dict[str, np.ndarray]) -> None:
    with pytest.raises(IntegrityError, match="does not fit the bundle's encoder"):
        list(verify_bundle(_changed(tiny_bundle, tmp_path, change), [("onnxruntime", None)]))


def test_a_bundle_without_golden_views(tiny_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"golden\.safetensors"):
        list(verify_bundle(_changed(tiny_bundle, tmp_path, None), [("onnxruntime", None)]))


@pytest.mark.parametrize("name", ["golden.safetensors", "encoder.fp32.weights"])
def test_a_file_that_was_changed_since_is_an_error(tiny_bundle: Bundle, tmp_path: Path, name: str) -> None:
    bundle = _changed(tiny_bundle, tmp_path, {})
    file = bundle.path / name
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match=f"{name}: was changed after it was exported"):
        list(verify_bundle(bundle, [("onnxruntime", None)]))
