"""A bundle on this machine: whether it is whole, and which engines can run which of its precisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mvrec_edge.doctor.engines import EngineStatus
from mvrec_edge.doctor.findings import BundleStatus, Finding
from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.errors import InputError, MvrecEdgeError

__all__ = ["examine_bundle"]


def examine_bundle(path: Path, engines: Sequence[EngineStatus]) -> tuple[BundleStatus, tuple[Finding, ...]]:
    """Opens a bundle, which checks every byte of it, and holds its precisions against the engines.

    Args:
        path: The bundle's folder.
        engines: The engines of this machine.

    Returns:
        What the bundle is, and what is worth saying about it; nothing is raised for a bad one.
    """
    try:
        bundle = Bundle.load(path)
    except MvrecEdgeError as error:
        finding = Finding("problem", "bundle", f"{error.where or path}: {error.what}", error.fix)
        return BundleStatus(str(path), problem=finding.text, exit_code=error.exit_code), (finding,)
    except OSError as error:
        finding = Finding("problem", "bundle", f"{path}: cannot be read: {error.strerror or error}")
        return BundleStatus(str(path), problem=finding.text, exit_code=InputError.exit_code), (finding,)
    precisions = tuple(graph.precision for graph in bundle.manifest.graphs)
    status = BundleStatus(
        path=str(path),
        encoder=f"{bundle.architecture.name}, {bundle.weights}",
        precisions=precisions,
        runs={
            precision: tuple(engine.name for engine in engines if engine.usable and _runs(engine, precision))
            for precision in precisions
        },
    )
    return status, tuple(_what_runs(status))


def _what_runs(status: BundleStatus) -> Iterator[Finding]:
    for precision, engines in status.runs.items():
        if engines:
            yield Finding("ok", "bundle", f"{precision} runs on {', '.join(engines)}")
        else:
            yield Finding("note", "bundle", f"no engine on this machine runs its {precision} graph")
    if not any(status.runs.values()):
        text = "no engine on this machine runs any graph of the bundle"
        yield Finding("problem", "bundle", text, "see the engines above, or export it in another precision")


def _runs(engine: EngineStatus, precision: str) -> bool:
    return engine.precisions.get(precision, "not tried") is None
