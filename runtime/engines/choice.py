"""`--engine auto`: the fastest engine of this machine for one graph, measured once and remembered."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable

import numpy as np

from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.engines.speeds import SpeedKey, read_speeds, record_speeds
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT, TENSORRT_RTX
from mvrec_edge.runtime.engines.tensorrt.gpu_probe import first_gpu
from mvrec_edge.runtime.engines.tensorrt.plan_keys import Capabilities
from mvrec_edge.runtime.errors import (
    EnvironmentUnfitError,
    IntegrityError,
    MissingDependencyError,
    MvrecEdgeError,
    UsageError,
)
from mvrec_edge.runtime.installing import install_extra
from mvrec_edge.runtime.threads import usable_cpus

__all__ = ["check_choice", "choose_engine", "installed_engines"]

# Views of a trial, and how often it is run; the first run warms up.
_VIEWS = 3
_RUNS = 3


def choose_engine(
    bundle: Bundle,
    open_candidate: Callable[[str, str | None], Engine],
    *,
    precision: str | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = lambda _: None,
    ask_gpu: Callable[[], GpuModel | None] = first_gpu,
) -> tuple[str, str | None]:
    """Chooses among ONNX Runtime on the CPU, OpenVINO, ONNX Runtime on CUDA and TensorRT for RTX, as far as installed.

    Where more than one can run the graph, each is timed on a few views, one after the other, and the times are kept
    in the user's cache folder, so that this is done once for a machine, a graph and a number of threads. TensorRT for
    RTX takes part where there is a GPU that its plans run on. TensorRT is not among them: it is chosen by name, because
    building its plan takes minutes.

    Args:
        bundle: The bundle.
        open_candidate: Opens an engine with the same bundle, precision and threads, by its name and provider.
        precision: Which graph; by default the most exact one there is.
        threads: CPU threads; by default one for each core that this process may use.
        say: Takes a line when something is measured.
        ask_gpu: Says which GPU this machine has, if any.

    Returns:
        The engine's name, and ONNX Runtime's provider or None.

    Raises:
        MissingDependencyError: No engine is installed.
        UsageError: No installed engine runs a graph of this precision.
        EnvironmentUnfitError: None of them can be opened.
    """
    precision = precision or bundle.precisions[0]
    gpu = ask_gpu() if TENSORRT_RTX.installed else None
    candidates = _candidates(bundle, precision, gpu)
    if len(candidates) == 1:
        return candidates[0]
    # Its hash is checked here, so that a changed file is said before anything is timed.
    bundle.graph(precision)
    count = threads or usable_cpus()
    keys = {item: _key(bundle, precision, item, count, gpu) for item in candidates}
    known = read_speeds(list(keys.values()))
    missing = {item: key for item, key in keys.items() if key not in known}
    if missing:
        first = ", and builds a plan before" if _RTX in missing else ""
        say(f"timing {' and '.join(_words(item) for item in missing)} on this machine, once{first}")
        # One that cannot run is tried at every start; the others need not be timed again for that.
        known |= _measure(bundle, precision, missing, open_candidate, needed=not known)
        # What failed is tried again next time: a driver or a library may have been mended.
        record_speeds({key: value for key, value in known.items() if value < _CANNOT})
        say("; ".join(f"{_words(item)}: {_time(known[keys[item]])}" for item in candidates))
    return min(candidates, key=lambda item: known[keys[item]])


def check_choice(
    bundle: Bundle, precision: str | None = None, *, ask_gpu: Callable[[], GpuModel | None] = first_gpu
) -> None:
    """Raises what `choose_engine` raises where there is nothing to choose from; opens and times nothing.

    Args:
        bundle: As for `choose_engine`.
        precision: As for `choose_engine`.
        ask_gpu: As for `choose_engine`.

    Raises:
        MissingDependencyError: No engine is installed.
        UsageError: No installed engine runs a graph of this precision.
    """
    _candidates(bundle, precision or bundle.precisions[0], ask_gpu() if TENSORRT_RTX.installed else None)


def _candidates(bundle: Bundle, precision: str, gpu: GpuModel | None) -> list[tuple[str, str | None]]:
    """The installed engines that run a graph, at least one; for errors see `check_choice`."""
    installed = installed_engines()
    if gpu is not None and TENSORRT_RTX.installed and _runs_plans(bundle, precision, gpu):
        installed.append(_RTX)
    if not installed:
        passed_over = _passed_over(gpu)
        raise MissingDependencyError(
            "onnxruntime",
            extra="cpu",
            purpose="running the encoder" + (f" ({'; '.join(passed_over)})" if passed_over else ""),
            fix=f"{install_extra('cpu')}, or for OpenVINO {install_extra('openvino')}",
        )
    candidates = [item for item in installed if precision in _ABLE[item]]
    if not candidates:
        raise UsageError(
            f"no installed engine runs a {precision} graph: {', '.join(name for name, _ in installed)}",
            fix=f"{install_extra('openvino')}, or choose another --precision",
        )
    return candidates


def _passed_over(gpu: GpuModel | None) -> list[str]:
    """Why what is installed is not among those to choose from, in words."""
    found = []
    if TENSORRT_RTX.installed:
        why = "no NVIDIA GPU answers here"
        if gpu is not None:
            why = f"its plans do not run on {gpu.name}, of compute capability {gpu.capability}"
        found.append(f"the engine '{TENSORRT_RTX.engine}' is installed, but {why}")
    if TENSORRT.installed:
        found.append(f"the engine '{TENSORRT.engine}' is installed, but is taken by --engine {TENSORRT.engine} alone")
    return found


def _key(bundle: Bundle, precision: str, item: tuple[str, str | None], threads: int, gpu: GpuModel | None) -> SpeedKey:
    device = gpu.name if item == _RTX and gpu is not None else ""
    return SpeedKey(bundle.fingerprint(precision), item[0], item[1] or "", threads, device)


def _runs_plans(bundle: Bundle, precision: str, gpu: GpuModel) -> bool:
    """Whether plans that are built by themselves run on the GPU, or the bundle brings one that does."""
    record = bundle.manifest.plan(precision, TENSORRT_RTX.engine)
    brought = record is not None and gpu.capability in record.capabilities.split(", ")
    return brought or Capabilities().include(gpu.capability)


_CPU, _CUDA, _OPENVINO = ("onnxruntime", None), ("onnxruntime", "cuda"), ("openvino", None)
_RTX = (TENSORRT_RTX.engine, None)
_ABLE: dict[tuple[str, str | None], tuple[str, ...]] = {
    _OPENVINO: ("fp32", "fp16", "bf16", "int8"),
    _CPU: ("fp32", "fp16", "int8"),
    _CUDA: ("fp32", "fp16", "bf16"),
    _RTX: ("fp32", "fp16", "bf16", "int8"),
}
# Slower than any that runs, and still a number that can be kept.
_CANNOT = 1e8


def installed_engines() -> list[tuple[str, str | None]]:
    """The engines that are installed and need no plan, as pairs of a name and ONNX Runtime's provider or None."""
    found: list[tuple[str, str | None]] = []
    if importlib.util.find_spec("openvino") is not None:
        found.append(_OPENVINO)
    if importlib.util.find_spec("onnxruntime") is not None:
        found.append(_CPU)
        import onnxruntime  # type: ignore[import-untyped,unused-ignore]

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            found.append(_CUDA)
    return found


def _measure(
    bundle: Bundle,
    precision: str,
    keys: dict[tuple[str, str | None], SpeedKey],
    open_candidate: Callable[[str, str | None], Engine],
    *,
    needed: bool,
) -> dict[SpeedKey, float]:
    size = bundle.architecture.image_size
    views = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (_VIEWS, size, size, 4), dtype=np.uint8)
    times: dict[SpeedKey, float] = {}
    failures: list[MvrecEdgeError] = []
    for (name, provider), key in keys.items():
        try:
            # One at a time, so that their memory never adds up.
            with open_candidate(name, provider) as engine:
                engine.encode(views)
                best = float("inf")
                for _ in range(_RUNS):
                    start = time.perf_counter()
                    engine.encode(views)
                    best = min(best, time.perf_counter() - start)
            times[key] = best * 1e3 / _VIEWS
        except IntegrityError:
            # A changed file is never passed over for an engine that does not need it.
            raise
        except MvrecEdgeError as error:
            failures.append(error)
            times[key] = _CANNOT
    if needed and len(failures) == len(keys):
        raise EnvironmentUnfitError(
            f"no engine runs the {precision} graph: {failures[0].what}", fix="run 'mvrec-edge doctor'"
        ) from failures[0]
    return times


def _time(milliseconds: float) -> str:
    return "cannot run it" if milliseconds >= _CANNOT else f"{milliseconds:.3g} ms a view"


def _words(item: tuple[str, str | None]) -> str:
    return item[0] if item[1] is None else f"{item[0]} on {item[1]}"
