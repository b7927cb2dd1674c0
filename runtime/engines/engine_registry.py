"""Engines by name; a library is imported when its engine is opened, never before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mvrec_edge.runtime.bundle import PRECISIONS, Bundle
from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.errors import UsageError

__all__ = ["AUTO", "MOST_THREADS", "check_engine", "engine_names", "open_engine"]

#: The name that stands for the fastest engine of this machine.
AUTO = "auto"

#: More CPU threads than any machine of a line has processors; libraries start as many as they are told to, and take the
#: memory for them.
MOST_THREADS = 512


@dataclass(frozen=True)
class _Request:
    bundle: Bundle
    precision: str | None
    provider: str | None
    batch: int | None
    threads: int | None
    say: Callable[[str], None]
    views_in_graph: bool | None = None


def open_engine(
    name: str,
    bundle: Bundle,
    *,
    precision: str | None = None,
    provider: str | None = None,
    batch: int | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = lambda _: None,
    views_in_graph: bool | None = None,
) -> Engine:
    """Opens a bundle with an engine.

    Args:
        name: `"onnxruntime"`, `"openvino"`, `"tensorrt"`, `"tensorrt-rtx"`, or `"auto"` for the fastest that this
            machine runs, see `choose_engine`.
        bundle: A verified bundle.
        precision: Which of the bundle's graphs: `"fp32"`, `"fp16"`, `"bf16"` or `"int8"`. By default the most exact
            one there is; TensorRT takes fp16 before fp32.
        provider: ONNX Runtime's provider: `"cpu"` (the default), `"cuda"` or `"tensorrt"`.
        batch: Most views that are computed at once; more take more memory. By default what suits the engine.
        threads: CPU threads, of the engine and of cutting its views; by default one for each core that this process
            may use.
        say: Takes a line where opening takes long, such as for building a TensorRT plan.
        views_in_graph: Whether the engine cuts views itself, see `Engine.encode_patches`; by default it does on a GPU
            where the bundle has a graph for it, but on a Jetson. Of the engine `"onnxruntime"` on a CPU, and of
            `"tensorrt"` on a Jetson, it can be asked for.

    Returns:
        The engine, ready to encode. Use it as a context manager, or call `close`.

    Raises:
        UsageError: There is no engine of that name, or it cannot run what is asked for.
        MissingDependencyError: Its library is not installed.
        EnvironmentUnfitError: Its library cannot run the bundle on this machine.
        IntegrityError: The graph holds something that must not be run.
    """
    _check_words(name, precision, provider, threads)
    if views_in_graph and name not in _CUTTING:
        raise UsageError(f"the engine '{name}' does not cut views", fix="engines that do: " + ", ".join(_CUTTING))
    if name == AUTO:
        # The same for every candidate: engines differ in which graph they take first.
        precision = precision or bundle.precisions[0]
        from mvrec_edge.runtime.engines.choice import choose_engine

        def open_candidate(candidate: str, runs_on: str | None) -> Engine:
            # What is timed are views that were cut before.
            return _OPENERS[candidate](_Request(bundle, precision, runs_on, None, threads, lambda _: None, False))

        name, provider = choose_engine(bundle, open_candidate, precision=precision, threads=threads, say=say)
    return _OPENERS[name](_Request(bundle, precision, provider, batch, threads, say, views_in_graph))


def check_engine(
    name: str, bundle: Bundle, *, precision: str | None = None, provider: str | None = None, threads: int | None = None
) -> None:
    """Refuses what `open_engine` would refuse, as far as that can be told without opening anything.

    It takes no longer than importing the engine's library. A command calls it before it reads images.

    Args:
        name: As for `open_engine`.
        bundle: A verified bundle.
        precision: As for `open_engine`.
        provider: As for `open_engine`.
        threads: As for `open_engine`.

    Raises:
        UsageError: There is no engine of that name, or it cannot run what is asked for.
        MissingDependencyError: Its library is not installed; for `"auto"`, no engine is.
        EnvironmentUnfitError: Its library does not load, or there is no GPU and it needs one.
    """
    _check_words(name, precision, provider, threads)
    if name == AUTO:
        from mvrec_edge.runtime.engines.choice import check_choice

        check_choice(bundle, precision)
    else:
        _LOADERS[name](provider)


def _check_words(name: str, precision: str | None, provider: str | None, threads: int | None) -> None:
    """Refuses names that there are not, and what does not go together."""
    if name not in engine_names():
        raise UsageError(f"there is no engine '{name}'", fix=_meant(name))
    if precision is not None and precision not in PRECISIONS:
        raise UsageError(f"there is no precision '{precision}'", fix="one of " + ", ".join(PRECISIONS))
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise UsageError(f"an engine runs on 1 to {MOST_THREADS} threads, not {threads}")
    if provider is not None and name != "onnxruntime":
        raise UsageError(f"the engine '{name}' has no providers", fix="give --engine onnxruntime with --provider")


def _meant(name: str) -> str:
    """What to give in place of a name that is none: `verify` and `bench` take `ENGINE:PROVIDER`, others two options."""
    from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_library import PROVIDERS

    engine, _, provider = name.lower().partition(":")
    if engine == "onnxruntime" and provider in PROVIDERS:
        return f"give --engine onnxruntime --provider {provider}"
    if (engine in engine_names() and engine != "onnxruntime") or name.lower() == "onnxruntime":
        return f"give --engine {engine}"
    return "engines: " + ", ".join(engine_names())


def engine_names() -> tuple[str, ...]:
    """The names `open_engine` knows."""
    return (AUTO, *_OPENERS)


def _open_onnxruntime(request: _Request) -> Engine:
    from mvrec_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(
        request.bundle,
        precision=request.precision,
        provider=request.provider,
        batch=request.batch,
        threads=request.threads,
        views_in_graph=request.views_in_graph,
    )


def _open_openvino(request: _Request) -> Engine:
    from mvrec_edge.runtime.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(request.bundle, precision=request.precision, batch=request.batch, threads=request.threads)


def _open_tensorrt(engine: str, request: _Request) -> Engine:
    from mvrec_edge.runtime.engines.tensorrt.flavour import flavour_of
    from mvrec_edge.runtime.engines.tensorrt.tensorrt_engine import TensorRtEngine

    return TensorRtEngine(
        request.bundle,
        flavour=flavour_of(engine),
        precision=request.precision,
        batch=request.batch,
        threads=request.threads,
        say=request.say,
        views_in_graph=request.views_in_graph,
    )


_OPENERS: dict[str, Callable[[_Request], Engine]] = {
    "onnxruntime": _open_onnxruntime,
    "openvino": _open_openvino,
    "tensorrt": partial(_open_tensorrt, "tensorrt"),
    "tensorrt-rtx": partial(_open_tensorrt, "tensorrt-rtx"),
}


def _load_onnxruntime(provider: str | None) -> None:
    from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_library import load_library

    load_library(provider or "cpu")


def _load_openvino(_: str | None) -> None:
    from mvrec_edge.runtime.engines.openvino import load_openvino

    load_openvino()


def _load_tensorrt(engine: str, _: str | None) -> None:
    from mvrec_edge.runtime.engines.tensorrt.cuda_opening import check_cuda
    from mvrec_edge.runtime.engines.tensorrt.flavour import flavour_of
    from mvrec_edge.runtime.engines.tensorrt.tensorrt_library import load_tensorrt

    load_tensorrt(flavour_of(engine))
    check_cuda(engine)


# What each needs before it can be opened.
_LOADERS: dict[str, Callable[[str | None], None]] = {
    "onnxruntime": _load_onnxruntime,
    "openvino": _load_openvino,
    "tensorrt": partial(_load_tensorrt, "tensorrt"),
    "tensorrt-rtx": partial(_load_tensorrt, "tensorrt-rtx"),
}
# Those that can cut views in a graph.
_CUTTING = ("onnxruntime", "tensorrt", "tensorrt-rtx")
