"""Who takes part in a run: candidates, PyTorch baselines, the machine's matrix products, the other stages."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from mvrec_edge.bench.budget import BenchCase, Budget
from mvrec_edge.bench.candidates import CUDA_PREFIX, TORCH, EngineCandidate
from mvrec_edge.runtime.bundle import Bundle, TransformerArchitecture
from mvrec_edge.runtime.errors import IntegrityError, UsageError
from mvrec_edge.runtime.files import sha256_file
from mvrec_edge.runtime.installing import install_extra

__all__ = ["BASELINES", "GPU_BASELINES", "STAGES_MEMBER", "assemble", "baseline_cases", "check_checkpoint"]

#: The encoder as released, in PyTorch; the first one is what the others are compared with.
BASELINES = (
    EngineCandidate(TORCH, "fp32", "eager"),
    EngineCandidate(TORCH, "fp32", "compile"),
    EngineCandidate(TORCH, "bf16", "autocast"),
)
#: The same beside candidates that run on a GPU; there `torch.compile` gets the half precision as well.
GPU_BASELINES = (
    EngineCandidate(TORCH, "fp32", f"{CUDA_PREFIX}eager"),
    EngineCandidate(TORCH, "fp16", f"{CUDA_PREFIX}autocast"),
    EngineCandidate(TORCH, "fp16", f"{CUDA_PREFIX}compile"),
)
STAGES_MEMBER = "stages"

_WORKER = "mvrec_edge.bench.worker"
# By name only: the runtime does not import the export stage, it lets a process of its own run it.
_TORCH_WORKER = "mvrec_edge.bench.torch_worker"
_TORCH_LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime")


def assemble(
    bundle: Bundle, candidates: Sequence[EngineCandidate], budget: Budget, baselines: Sequence[BenchCase] = ()
) -> tuple[BenchCase, ...]:
    """All cases: baselines, a bundle's candidates, what the machine can do at most, and the stages.

    Args:
        bundle: A verified bundle.
        candidates: What `parse_candidates` or `default_candidates` gave.
        budget: How long.
        baselines: What `baseline_cases` gave.
    """
    cases = [*baselines, *(_candidate(bundle, candidate, budget) for candidate in candidates)]
    kinds = dict.fromkeys((item.candidate.precision, item.on_gpu) for item in cases if item.candidate is not None)
    return (*cases, *_products(tuple(kinds)), _stages(bundle, budget))


def baseline_cases(
    bundle: Bundle, candidates: Sequence[EngineCandidate], budget: Budget, checkpoint: Path | None = None
) -> tuple[tuple[BenchCase, ...], dict[str, str]]:
    """The PyTorch baselines that are possible, and why others are not.

    Args:
        bundle: A verified bundle.
        candidates: What they are beside: those on a GPU get baselines on the GPU, those on the processor there.
        budget: How long.
        checkpoint: The weights that the bundle was made from; not needed for drawn weights.

    Returns:
        The cases, and the reason by candidate name for each one left out.
    """
    kinds = {candidate.on_gpu for candidate in candidates}
    baselines = [*(GPU_BASELINES if True in kinds else ()), *(BASELINES if False in kinds else ())]
    names = [candidate.name for candidate in baselines]
    if not isinstance(bundle.architecture, TransformerArchitecture):
        return (), dict.fromkeys(names, f"PyTorch is timed for AlphaCLIP alone, not for {bundle.architecture.name}")
    for library in _TORCH_LIBRARIES:
        if importlib.util.find_spec(library) is None:
            reason = f"'{library}' is not installed ({install_extra('export')})"
            return (), dict.fromkeys(names, reason)
    if checkpoint is None and not bundle.weights.is_random:
        reason = f"its weights are not at hand (give --checkpoint {bundle.weights.name})"
        return (), dict.fromkeys(names, reason)
    cases, missing = [], {}
    for candidate in baselines:
        if str(candidate.provider).endswith("compile") and not _compiler():
            missing[candidate.name] = "torch.compile needs a C++ compiler, and there is none"
            continue
        cases.append(_candidate(bundle, candidate, budget, checkpoint))
    return tuple(cases), missing


def check_checkpoint(bundle: Bundle, checkpoint: Path) -> None:
    """Refuses a checkpoint that the bundle was not made from.

    Raises:
        UsageError: The bundle was made from drawn weights, or there is no such file.
        IntegrityError: The file's hash is not the one in the manifest.
    """
    if bundle.weights.is_random:
        raise UsageError("the weights of the bundle are random, so it has no checkpoint", fix="leave out --checkpoint")
    if not checkpoint.is_file():
        raise UsageError("there is no such file", where=checkpoint, fix="give the checkpoint of the bundle")
    if sha256_file(checkpoint) != bundle.weights.sha256:
        raise IntegrityError(
            f"is not the checkpoint that the bundle was made from, which is {bundle.weights}",
            where=checkpoint,
            fix="give that checkpoint, or export this one",
        )


def _candidate(bundle: Bundle, candidate: EngineCandidate, budget: Budget, checkpoint: Path | None = None) -> BenchCase:
    torch = candidate.engine == TORCH
    setup = {
        "kind": "engine",
        "bundle": str(bundle.path.absolute()),
        "engine": candidate.engine,
        "provider": candidate.provider,
        "precision": candidate.precision,
        "batch": max(budget.batches),
        "checkpoint": None if checkpoint is None else str(checkpoint.absolute()),
    }
    # A baseline holds float32 weights, whatever it computes with.
    size = _graph_size(bundle, "fp32" if torch else candidate.precision)
    module = _TORCH_WORKER if torch else _WORKER
    return BenchCase(candidate.name, module, setup, candidate, on_gpu=candidate.on_gpu, size=size)


def _graph_size(bundle: Bundle, precision: str) -> int:
    sizes = {precision: bundle.manifest.graph_bytes(precision) for precision in bundle.precisions}
    return sizes.get(precision, max(sizes.values(), default=0))


def _products(kinds: Sequence[tuple[str, bool]]) -> list[BenchCase]:
    """A product for each precision and library, where the candidates of that precision run."""
    found = []
    installed = {name for name in ("torch", "openvino") if importlib.util.find_spec(name) is not None}
    if not all(importlib.util.find_spec(library) for library in _TORCH_LIBRARIES):
        installed.discard("torch")
    for precision, on_gpu in kinds:
        ways = []
        if precision == "fp32" and not on_gpu:
            ways.append(("numpy", _WORKER))
        if "torch" in installed and (precision != "fp16" or on_gpu):
            ways.append(("torch", _TORCH_WORKER))
        if "openvino" in installed and precision != "fp16" and not on_gpu:
            ways.append(("openvino", _WORKER))
        for library, module in ways:
            setup = {"kind": f"{library} product", "precision": precision, "on_gpu": on_gpu}
            name = f"product {library}/{precision}" + (" on the GPU" if on_gpu else "")
            found.append(BenchCase(name, module, setup, parts=("product",), dtype=precision, on_gpu=on_gpu))
    return found


def _stages(bundle: Bundle, budget: Budget) -> BenchCase:
    setup = {
        "kind": "stages",
        "image_size": bundle.architecture.image_size,
        "embedding_dim": bundle.architecture.embedding_dim,
        "views": budget.views,
    }
    parts = ("decode", "crop exact", "crop fast", "classify")
    return BenchCase(STAGES_MEMBER, _WORKER, setup, parts=parts)


def _compiler() -> bool:
    named = os.environ.get("CXX")
    return any(shutil.which(name) for name in ([named] if named else ["g++", "clang++", "c++"]))
