"""Engines by name; a library is imported when its engine is opened, never before."""

from __future__ import annotations

from collections.abc import Callable

from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.engines.base import DEFAULT_BATCH, Engine
from mvrec_edge.runtime.errors import UsageError

__all__ = ["engine_names", "open_engine"]


def open_engine(name: str, bundle: Bundle, *, batch: int = DEFAULT_BATCH, threads: int | None = None) -> Engine:
    """Opens a bundle with an engine.

    Args:
        name: `"onnxruntime"`.
        bundle: A verified bundle.
        batch: Most views that are computed at once; more take more memory.
        threads: CPU threads; by default as many as the library takes, one for each core.

    Returns:
        The engine, ready to encode. Use it as a context manager, or call `close`.

    Raises:
        UsageError: There is no engine of that name.
        MissingDependencyError: Its library is not installed.
        EnvironmentUnfitError: Its library cannot run the bundle on this machine.
        IntegrityError: The graph holds something that must not be run.
    """
    if name not in _OPENERS:
        raise UsageError(f"there is no engine '{name}'", fix="engines: " + ", ".join(engine_names()))
    if threads is not None and threads < 1:
        raise UsageError(f"an engine needs at least 1 thread, not {threads}")
    return _OPENERS[name](bundle, batch, threads)


def engine_names() -> tuple[str, ...]:
    """The names `open_engine` knows."""
    return tuple(_OPENERS)


def _open_onnxruntime(bundle: Bundle, batch: int, threads: int | None) -> Engine:
    from mvrec_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(bundle, batch=batch, threads=threads)


_OPENERS: dict[str, Callable[[Bundle, int, int | None], Engine]] = {"onnxruntime": _open_onnxruntime}
