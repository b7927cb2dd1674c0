"""What is measured on a GPU, the most valuable first; each part says why it is left out, where it is."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from _gpu_run import DEFECT_VIEWS, GpuRun

from mvrec_edge.bench.candidates import CUDA_PREFIX, TORCH, EngineCandidate
from mvrec_edge.runtime.engines import engine_names
from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["Part", "parts_for"]

#: What each engine is imported by, of those that are not always there.
_MODULES = {
    "onnxruntime": ("onnxruntime",),
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
    TORCH: ("torch",),
}


@dataclass(frozen=True)
class Part:
    """One thing to measure.

    Attributes:
        name: How it is called in the result and by `--only`.
        longest_s: Seconds that its worker may take for one answer: a compilation or a build is one.
        least_s: Seconds without which it is not begun.
        measure: Measures it.
        why_not: Why it cannot be measured here; None where it can.
    """

    name: str
    longest_s: float
    least_s: float
    measure: Callable[[GpuRun, Part], None]
    why_not: Callable[[GpuRun], str | None]


def parts_for(*, on_gpu: bool) -> Iterator[Part]:
    """The parts in order; without a GPU those that take the same steps on the processor."""
    cuda = CUDA_PREFIX if on_gpu else ""
    provider, half, wide = ("cuda", "fp16", "bf16") if on_gpu else ("cpu", "fp32", "fp32")
    reference = EngineCandidate("onnxruntime", half, provider)
    # No more than the reference is opened for.
    batches = (DEFECT_VIEWS, 1, 54) if on_gpu else (DEFECT_VIEWS, 1)
    yield Part("reference", 60, 10, _reference(reference, half, on_gpu), _needs(reference))
    yield _candidate(TORCH, half, f"{cuda}fused-compile", batches, 150, 40)
    yield Part("defect", 60, 15, _defect(reference), _needs(reference))
    yield _candidate(TORCH, half, f"{cuda}fused", batches, 40, 15)
    if not on_gpu:
        return
    yield _candidate("tensorrt-rtx", half, None, batches, 90, 40)
    yield _candidate("tensorrt", half, None, batches, 150, 90)
    yield _candidate("onnxruntime", wide, provider, (DEFECT_VIEWS,), 40, 15)
    yield _candidate(TORCH, wide, f"{cuda}fused-compile", (DEFECT_VIEWS, 1), 120, 40)
    yield _candidate(TORCH, "fp32", f"{cuda}eager", (DEFECT_VIEWS,), 40, 15)
    yield Part("products", 30, 10, _products, lambda _run: _missing(TORCH))
    yield Part("fp8 in ONNX Runtime", 30, 10, _fp8, lambda _run: _missing("onnxruntime") or _module("onnx"))
    yield _candidate("onnxruntime", half, "tensorrt", (DEFECT_VIEWS,), 150, 90)


def _candidate(
    engine: str, precision: str, provider: str | None, batches: tuple[int, ...], longest_s: float, least_s: float
) -> Part:
    candidate = EngineCandidate(engine, precision, provider)

    def measure(run: GpuRun, part: Part) -> None:
        worker = run.open(run.engine_setup(candidate, max(batches)), part.longest_s)
        try:
            run.measure(candidate, worker, batches)
        finally:
            worker.close()

    return Part(candidate.name, longest_s, least_s, measure, _needs(candidate))


def _needs(candidate: EngineCandidate) -> Callable[[GpuRun], str | None]:
    def why_not(run: GpuRun) -> str | None:
        if candidate.engine == TORCH:
            if not run.bundle.weights.is_random:
                return "PyTorch draws the weights of bundles with random weights alone"
            compiler = "compile" not in str(candidate.provider) or any(map(shutil.which, ("gcc", "g++", "clang")))
            return _missing(TORCH) or (None if compiler else "torch.compile needs a C compiler, and there is none")
        if candidate.engine not in engine_names():
            return f"there is no engine '{candidate.engine}'"
        if candidate.precision not in run.bundle.precisions:
            return f"the bundle has no {candidate.precision} graph"
        return _missing(candidate.engine)

    return why_not


def _missing(engine: str) -> str | None:
    modules = _MODULES[engine]
    return None if any(importlib.util.find_spec(name) for name in modules) else f"'{modules[0]}' is not installed"


def _module(name: str) -> str | None:
    return None if importlib.util.find_spec(name) else f"'{name}' is not installed"


def _reference(candidate: EngineCandidate, product: str, on_gpu: bool) -> Callable[[GpuRun, Part], None]:
    batches = (DEFECT_VIEWS, 1, 9, 54, 108) if on_gpu else (DEFECT_VIEWS, 1)

    def measure(run: GpuRun, part: Part) -> None:
        try:
            setup = {"kind": "torch product", "precision": product, "on_gpu": on_gpu}
            run.product = run.open(setup, part.longest_s)
        except EnvironmentUnfitError as error:
            run.skipped["product rate"] = str(error)
        run.reference = run.open(run.engine_setup(candidate, max(batches)), part.longest_s)
        run.reference_name = candidate.name
        run.measure(candidate, run.reference, batches)

    return measure


def _defect(candidate: EngineCandidate) -> Callable[[GpuRun, Part], None]:
    """From a decoded image to embeddings, with views cut before and in the graph, by `views_in_graph.py`."""

    def measure(run: GpuRun, part: Part) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "views.json"
            words = [sys.executable, Path(__file__).with_name("views_in_graph.py"), "--bundle", run.bundle.path]
            words += ["--precision", candidate.precision, "--provider", str(candidate.provider), "--out", out]
            # On the processor the graph takes seconds.
            words += ["--rounds", 15 if candidate.provider == "cuda" else 1]
            limit = min(part.longest_s, run.clock.left)
            try:
                ended = subprocess.run(  # noqa: S603 (our own program)
                    [str(word) for word in words], capture_output=True, text=True, timeout=limit, check=False
                )
            except subprocess.TimeoutExpired as error:
                raise EnvironmentUnfitError(f"it took longer than {limit:.0f} s") from error
            if ended.returncode:
                last = (ended.stderr.strip().splitlines() or ["it ended without a word"])[-1]
                raise EnvironmentUnfitError(last.partition("Error: ")[2] or last)
            run.notes["decoded image to 27 embeddings"] = json.loads(out.read_text())["figures"]
        run.write(run.record())

    return measure


def _products(run: GpuRun, part: Part) -> None:
    """What matrix products reach in other types; 8 bits may be worth an export."""
    for precision in ("bf16", "fp8", "int8"):
        name = f"product rate of {precision}, TFLOP/s"
        try:
            worker = run.open({"kind": "torch product", "precision": precision, "on_gpu": True}, part.longest_s)
        except EnvironmentUnfitError as error:
            run.skipped[name] = str(error)
            continue
        try:
            seconds = min(worker.run("product", run.side, 20)[5:])
            run.notes[name] = round(2.0 * run.side**3 / seconds / 1e12, 1)
        except EnvironmentUnfitError as error:
            run.skipped[name] = str(error)
        finally:
            worker.close()
        run.write(run.record())


def _fp8(run: GpuRun, part: Part) -> None:
    """Whether ONNX Runtime multiplies float8 on this card, and how fast; its answer where it does not."""
    worker = run.open({"kind": "onnxruntime fp8 product"}, part.longest_s)
    try:
        seconds = min(worker.run("product", run.side, 20)[5:])
        run.notes["float8 product in ONNX Runtime, TFLOP/s"] = round(2.0 * run.side**3 / seconds / 1e12, 1)
        run.write(run.record())
    finally:
        worker.close()
