"""The engine `openvino`: a bundle's graph on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mvrec_edge.runtime.engines.engine import CPU_BATCH, GraphEngine, preferred_precision
from mvrec_edge.runtime.engines.openvino.session import OpenVinoSession

if TYPE_CHECKING:
    from mvrec_edge.runtime.bundle import Bundle

__all__ = ["OpenVinoEngine"]


class OpenVinoEngine(GraphEngine):
    """Runs a bundle's graph in OpenVINO on the CPU.

    Args:
        bundle: A verified bundle.
        precision: Which graph; by default the most exact one.
        batch: Most views that are computed at once; by default 9, more gain nothing on a CPU and take memory.
        threads: CPU threads; by default one for each core that this process may use.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        EnvironmentUnfitError: The installed version cannot run the graph.
        IntegrityError: The graph holds something that must not be run, or was exchanged while it was opened.
        UsageError: The bundle has no such graph.
    """

    name = "openvino"
    precisions = ("fp32", "fp16", "bf16", "int8")

    def __init__(
        self, bundle: Bundle, *, precision: str | None = None, batch: int | None = None, threads: int | None = None
    ) -> None:
        precision = preferred_precision(bundle, precision, self.precisions, self.name)
        super().__init__(
            bundle,
            precision,
            lambda files: OpenVinoSession(files.graph, precision, threads),
            batch or CPU_BATCH,
            threads,
        )
