"""The PyTorch baseline computes what the encoder computes, by the released code's steps."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")

from mvrec_edge.bench.budget import Budget  # noqa: E402
from mvrec_edge.bench.candidates import EngineCandidate  # noqa: E402
from mvrec_edge.bench.cases import baseline_cases, check_checkpoint  # noqa: E402
from mvrec_edge.bench.torch_baseline import ReleasedEncoder, TorchBaseline, weights_of  # noqa: E402
from mvrec_edge.bench.torch_worker import TorchProduct, open_baseline  # noqa: E402
from mvrec_edge.bench.workloads import noise_views  # noqa: E402
from mvrec_edge.export import random_weights  # noqa: E402
from mvrec_edge.export.encoder import load_encoder  # noqa: E402
from mvrec_edge.export.views_encoder import ViewsEncoder  # noqa: E402
from mvrec_edge.runtime import Bundle, open_engine  # noqa: E402
from mvrec_edge.runtime.bundle import LiteArchitecture, WeightsSource  # noqa: E402
from mvrec_edge.runtime.errors import (  # noqa: E402
    CheckpointError,
    EnvironmentUnfitError,
    IntegrityError,
    UsageError,
)
from mvrec_edge.runtime.files import sha256_file  # noqa: E402


def of_checkpoint(bundle: Bundle, file: Path) -> Bundle:
    """The same bundle, as if it came from a checkpoint."""
    weights = WeightsSource("checkpoint", file.name, sha256_file(file))
    return dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, weights=weights))


def test_agrees_with_the_exported_computation(tiny_bundle: Bundle) -> None:
    views = noise_views(3, tiny_bundle.architecture.image_size)
    encoder = load_encoder(random_weights(tiny_bundle.architecture, 0))
    with torch.inference_mode():
        released = ReleasedEncoder(encoder)(torch.from_numpy(views)).numpy()
        exported = ViewsEncoder(encoder)(torch.from_numpy(views)).numpy()
    np.testing.assert_allclose(released, exported, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("way", "precision", "cosine"),
    [
        ("eager", "fp32", 0.999999),
        ("autocast", "bf16", 0.999),
        ("fused", "fp32", 0.999999),
        ("fused", "bf16", 0.999),
    ],
)
def test_as_an_engine_it_agrees_with_the_bundle(tiny_bundle: Bundle, way: str, precision: str, cosine: float) -> None:
    views = noise_views(3, tiny_bundle.architecture.image_size)
    with TorchBaseline(tiny_bundle, weights_of(tiny_bundle), way=way, batch=2, precision=precision) as baseline:
        got = baseline.encode(views)
    with open_engine("onnxruntime", tiny_bundle) as engine:
        want = engine.encode(views)
    found = (got * want).sum(axis=1) / (np.linalg.norm(got, axis=1) * np.linalg.norm(want, axis=1))
    assert found.min() > cosine


def test_bfloat16_is_really_used(tiny_bundle: Bundle) -> None:
    views = noise_views(2, tiny_bundle.architecture.image_size)
    eager, autocast = (
        TorchBaseline(tiny_bundle, weights_of(tiny_bundle), way=way, batch=2).encode(views)
        for way in ("eager", "autocast")
    )
    assert np.abs(eager - autocast).max() > 1e-4 * np.abs(eager).max()


def test_an_unknown_way_is_refused(tiny_bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="eager, compile, autocast"):
        TorchBaseline(tiny_bundle, weights_of(tiny_bundle), way="magic", batch=1)


def test_weights_of_a_checkpoint_must_be_that_checkpoint(tiny_bundle: Bundle, tmp_path: Path) -> None:
    weights = random_weights(tiny_bundle.architecture, 0)
    file, other = tmp_path / "encoder.pth", tmp_path / "other.pth"
    torch.save(weights.tensors, file)
    torch.save(random_weights(tiny_bundle.architecture, 1).tensors, other)
    bundle = of_checkpoint(tiny_bundle, file)
    torch.testing.assert_close(weights_of(bundle, file).tensors["proj"], weights.tensors["proj"])
    check_checkpoint(bundle, file)
    with pytest.raises(CheckpointError, match="--checkpoint"):
        weights_of(bundle)
    with pytest.raises(IntegrityError, match="not the checkpoint"):
        weights_of(bundle, other)
    with pytest.raises(IntegrityError, match="not the checkpoint"):
        check_checkpoint(bundle, other)
    with pytest.raises(UsageError, match="no such file"):
        check_checkpoint(bundle, tmp_path / "none.pth")
    with pytest.raises(UsageError, match="weights of the bundle are random"):
        check_checkpoint(tiny_bundle, file)


def test_baselines_that_are_not_possible_are_listed(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    on_cpu = [EngineCandidate("onnxruntime", "fp32")]
    cases, missing = baseline_cases(tiny_bundle, on_cpu, Budget())
    assert [case.name for case in cases] == ["torch:eager/fp32", "torch:autocast/bf16"]
    assert "C++ compiler" in missing["torch:compile/fp32"]
    (tmp_path / "encoder.pth").write_bytes(b"weights")
    cases, missing = baseline_cases(of_checkpoint(tiny_bundle, tmp_path / "encoder.pth"), on_cpu, Budget())
    assert cases == ()
    assert len(missing) == 3
    assert "--checkpoint encoder.pth" in missing["torch:eager/fp32"]


def test_another_encoder_than_alphaclip_has_no_baselines(tiny_bundle: Bundle) -> None:
    manifest = dataclasses.replace(tiny_bundle.manifest, architecture=LiteArchitecture())
    bundle = dataclasses.replace(tiny_bundle, manifest=manifest)
    cases, missing = baseline_cases(bundle, [EngineCandidate("onnxruntime", "fp32")], Budget())
    assert cases == ()
    assert set(missing.values()) == {"PyTorch is timed for AlphaCLIP alone, not for EfficientNet-Lite0"}


@pytest.mark.parametrize(
    ("candidates", "places"),
    [
        ([EngineCandidate("onnxruntime", "fp16", "cuda")], [True] * 3),
        (
            [EngineCandidate("tensorrt", "fp16"), EngineCandidate("onnxruntime", "fp32", "cpu")],
            [True] * 3 + [False] * 3,
        ),
        ([EngineCandidate("openvino", "fp32")], [False] * 3),
    ],
)
def test_baselines_run_where_the_candidates_do(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, candidates: list[EngineCandidate], places: list[bool]
) -> None:
    monkeypatch.setenv("CXX", sys.executable)
    cases, missing = baseline_cases(tiny_bundle, candidates, Budget())
    assert missing == {}
    assert [case.on_gpu for case in cases] == places
    assert cases[0].name == ("torch:cuda-eager/fp32" if places[0] else "torch:eager/fp32")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_baseline_on_a_gpu_that_is_not_there_says_so(tiny_bundle: Bundle) -> None:
    with pytest.raises(EnvironmentUnfitError, match="finds no GPU"):
        TorchBaseline(tiny_bundle, weights_of(tiny_bundle), way="cuda-eager", batch=1)
    with pytest.raises(EnvironmentUnfitError, match="finds no GPU"):
        open_baseline({"kind": "torch product", "precision": "fp16", "on_gpu": True}, lambda: None)


def test_the_worker_opens_baselines_and_products(tiny_bundle: Bundle) -> None:
    marks: list[int] = []
    request = {"kind": "engine", "bundle": str(tiny_bundle.path), "provider": "eager", "batch": 2, "checkpoint": None}
    workload = open_baseline(request, lambda: marks.append(1))
    assert np.shape(workload.prepare("encode", 2)()) == (2, tiny_bundle.architecture.embedding_dim)
    workload.close()
    assert marks == [1]
    assert isinstance(open_baseline({"kind": "torch product", "precision": "bf16"}, lambda: None), TorchProduct)
    with pytest.raises(UsageError, match="fp16"):
        open_baseline({"kind": "torch product", "precision": "fp16"}, lambda: None)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("int8", torch.int32)]
)
def test_products_are_of_their_type(precision: str, dtype: torch.dtype) -> None:
    result = TorchProduct(precision, None).prepare("product", 32)()
    assert isinstance(result, torch.Tensor)
    assert (result.dtype, result.shape) == (dtype, (32, 32))
    with pytest.raises(UsageError, match="no part 'encode'"):
        TorchProduct(precision, None).prepare("encode", 32)


def test_pytorch_is_not_charged_for_the_onnx_libraries() -> None:
    code = (
        "import sys, mvrec_edge.bench.torch_worker\n"
        "print(sorted({'onnx', 'onnxscript', 'onnxruntime'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
