"""A bundle on this machine: whether it is whole, and which engines can run which of its precisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.machine.engines import EngineStatus
from mvrec_edge.runtime.machine.report import BundleStatus, Finding

__all__ = ["check_bundle", "examine_bundle"]


def examine_bundle(path: Path, engines: Sequence[EngineStatus]) -> BundleStatus:
    """Opens a bundle, which checks every byte of it, and holds its precisions against the engines.

    Raises:
        InputError: There is no bundle at `path`.
        IntegrityError: A file is missing, was changed, or is not listed in the manifest.
    """
    bundle = Bundle.load(path)
    precisions = tuple(graph.precision for graph in bundle.manifest.graphs)
    return BundleStatus(
        path=str(path),
        encoder=f"{bundle.architecture.name}, {bundle.weights}",
        precisions=precisions,
        runs={
            precision: tuple(engine.name for engine in engines if engine.usable and _runs(engine, precision))
            for precision in precisions
        },
    )


def check_bundle(status: BundleStatus) -> Iterator[Finding]:
    """Says what runs the bundle."""
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
