"""One object for many threads, a process that is forked, and two processes that write to one place."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mvrec_edge.pocket import POCKET_BUNDLE
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.engines.tensorrt.plan_keys import Capabilities, PlanTarget
from tests.fakes.putting import put_plan
from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.children import in_a_child
from tests.harness.sharing import threads, writers
from tests.real_rtx import RTX, missing_rtx

__all__ = ["Sharing"]

_FAKES = Path(__file__).parents[2] / "fakes"
_SECONDS = 120.0

#: Each engine with the precisions that it runs here; plans by stand-ins, which run the graph in ONNX Runtime.
_ENGINES = {
    "fake": ("fp32",),
    "onnxruntime": ("fp32", "fp16", "int8"),
    "openvino": ("fp32", "fp16", "bf16", "int8"),
    "tensorrt": ("fp32", "fp16"),
    "tensorrt-rtx": ("fp32", "fp16"),
}
#: What their stand-ins' plans are for, and the releases that those say they are.
_PLANS: dict[str, tuple[PlanTarget, str]] = {
    "tensorrt": (GpuModel("Fake GPU", "8.7"), "10.3.0"),
    "tensorrt-rtx": (Capabilities(), "1.7.1.116"),
}
_PRECISIONS = ("fp32", "fp16", "bf16", "int8")


class Sharing(Campaign):
    """Each trial is one engine and precision, or one kind of file, in a child of its own."""

    name = "sharing"
    goal = "threads get their own answers to the bit, a forked child is told or ends, and two writers leave whole files"
    chunk = 1000
    at_once = 1

    def amount(self, *, full: bool) -> int:
        """All of them in any case."""
        return len(_trials())

    def run(self, trials: range, folder: Path) -> Tally:
        """Notes the seconds of each trial as well."""
        tally, all_of_them = Tally(), list(_trials().items())
        in_a_child(lambda: _export(folder / "tiny.bundle"), _SECONDS)
        for trial in trials:
            name, work = all_of_them[trial]
            place = folder / str(trial)
            place.mkdir()
            begin = time.monotonic()
            found, ended = in_a_child(lambda work=work, place=place: work(place), _SECONDS)
            tally.trials += 1
            tally.counts[name] += 1
            tally.peak(f"{name}, seconds", time.monotonic() - begin)
            if ended is not None or found:
                tally.findings.append(Finding(trial, f"{name}: {ended or found}"))
        return tally


def _trials() -> dict[str, Callable[[Path], str]]:
    """Each says what was wrong, or nothing."""
    found: dict[str, Callable[[Path], str]] = {}
    for name, precisions in _ENGINES.items():
        for precision in precisions:
            found[f"8 threads, {name} {precision}"] = _with_engine(name, precision, threads.same_answers)
        if name in ("onnxruntime", "openvino"):
            found[f"8 threads, {name} pocket"] = functools.partial(_pocket, name)
        found[f"forked, {name}"] = _with_engine(name, "fp32", threads.forked)
    found["8 threads, drift"] = threads.one_drift
    for what, work in writers.KINDS.items():
        # NVIDIA's own builder makes the plan, where it can be had.
        if what != "plan" or not missing_rtx():
            found[f"2 processes, {what}"] = work if what != "plan" else _with(RTX, work)
    return found


def _with_engine(name: str, precision: str, work: Callable[[str, Path, str], str]) -> Callable[[Path], str]:
    def trial(folder: Path) -> str:
        bundle = folder.parent / "tiny.bundle"
        if name in _PLANS:
            # The stand-ins build nothing.
            target, release = _PLANS[name]
            put_plan(Bundle.load(bundle), precision, target=target, release=release)
        return work(name, bundle, precision)

    return _with(_FAKES, trial) if name in _PLANS else trial


def _pocket(name: str, _: Path) -> str:
    """The pocket encoder, which is finished in fp32 alone; fewer images, since it takes its time."""
    return threads.same_answers(name, POCKET_BUNDLE, "fp32", images=3, rounds=1)


def _with(libraries: Path, work: Callable[[Path], str]) -> Callable[[Path], str]:
    """The same with a folder of libraries in reach, and a cache folder of its own."""

    def trial(folder: Path) -> str:
        sys.path.insert(0, str(libraries))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(libraries), os.environ.get("PYTHONPATH", "")]).rstrip(
            os.pathsep
        )
        os.environ["MVREC_EDGE_CACHE"] = str(folder / "cache")
        return work(folder)

    return trial


def _export(path: Path) -> None:
    from mvrec_edge.export import export_bundle, random_weights
    from mvrec_edge.runtime.bundle import TransformerArchitecture

    tiny = TransformerArchitecture(image_size=56, patch_size=14, width=128, layers=3, embedding_dim=64)
    export_bundle(random_weights(tiny, seed=0), path, precisions=_PRECISIONS)
