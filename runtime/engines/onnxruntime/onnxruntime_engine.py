"""The engine `onnxruntime`: a bundle's graph on the CPU or on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mvrec_edge.runtime.bundle import VIEWS_TARGETS
from mvrec_edge.runtime.engines.engine import (
    CPU_BATCH,
    GPU_BATCH,
    CuttingSession,
    GraphEngine,
    Session,
    preferred_precision,
)
from mvrec_edge.runtime.engines.onnxruntime.cpu_session import CpuSession
from mvrec_edge.runtime.engines.onnxruntime.gpu_session import FusedVariant, GpuSession
from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_library import load_library
from mvrec_edge.runtime.engines.processor import read_processor

if TYPE_CHECKING:
    from mvrec_edge.runtime.bundle import Bundle, HeldGraph

__all__ = ["OnnxRuntimeEngine", "open_cutting_session", "open_session"]


class OnnxRuntimeEngine(GraphEngine):
    """Runs a bundle's graph in ONNX Runtime: the variant that the bundle lists for the provider, where there is one.

    Args:
        bundle: A verified bundle.
        precision: Which graph; by default the most exact one.
        provider: `"cpu"` (the default), `"cuda"` or `"tensorrt"`.
        batch: Most views that are computed at once; by default 9 on a CPU and 54 on a GPU.
        threads: CPU threads; by default one for each core that this process may use.
        views_in_graph: Whether views are cut in the graph, see `Engine.encode_patches`; by default they are on CUDA,
            where the bundle has such a graph. On a CPU it takes many times as long as `crop_views`.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
        EnvironmentUnfitError: The installed version cannot run the graph, or not on this provider.
        IntegrityError: The graph holds something that must not be run, or was exchanged while it was opened.
        UsageError: There is no such provider, or the bundle has no such graph.
    """

    name = "onnxruntime"
    #: bfloat16 products have no kernel on the CPU, which is the default provider.
    precisions = ("fp32", "fp16", "int8")

    def __init__(
        self,
        bundle: Bundle,
        *,
        precision: str | None = None,
        provider: str | None = None,
        batch: int | None = None,
        threads: int | None = None,
        views_in_graph: bool | None = None,
    ) -> None:
        provider = provider or "cpu"
        able = self.precisions if provider == "cpu" else (*self.precisions, "bf16")
        precision = preferred_precision(bundle, precision, able, f"{self.name} on {provider}")
        self.on_gpu = provider != "cpu"

        def opened(files: HeldGraph) -> Session:
            variant = None if files.variant is None else FusedVariant(files.variant[0], files.variant[1].summary)
            return open_session(files.graph, precision, provider, threads, variant=variant)

        super().__init__(
            bundle,
            precision,
            opened,
            batch or (GPU_BATCH if self.on_gpu else CPU_BATCH),
            threads,
            target=_target(provider),
        )
        if views_in_graph is None and provider != "cuda":
            return

        def opened_views(graph: Path) -> CuttingSession:
            return open_cutting_session(graph, precision, provider, threads)

        if views_in_graph is not False:
            targets = VIEWS_TARGETS[::-1] if provider == "cuda" else VIEWS_TARGETS[:1]
            self._open_cutting(bundle, targets, opened_views, required=views_in_graph is True)


def _target(provider: str) -> str | None:
    """The variant that a provider takes on this machine."""
    if provider == "cpu":
        return "onnxruntime-x86" if read_processor().is_x86 else None
    return "onnxruntime-cuda" if provider == "cuda" else None


def open_session(
    graph: Path,
    precision: str,
    provider: str = "cpu",
    threads: int | None = None,
    *,
    variant: FusedVariant | None = None,
) -> Session:
    """Opens one graph in ONNX Runtime.

    Args:
        graph: The ONNX file, screened.
        precision: Its precision.
        provider: `"cpu"`, `"cuda"` or `"tensorrt"`.
        threads: CPU threads; by default one for each core that this process may use.
        variant: A graph with operators of ONNX Runtime's own that is run instead.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
        EnvironmentUnfitError: The installed version cannot run the graph, or not on this provider.
        UsageError: There is no such provider.
    """
    library = load_library(provider)
    if provider != "cpu":
        return GpuSession(library, graph, precision, provider, variant)
    if variant is None:
        return CpuSession(library, graph, precision, threads)
    return CpuSession(library, variant.graph, precision, threads, summary=variant.summary)


def open_cutting_session(
    graph: Path, precision: str, provider: str = "cpu", threads: int | None = None
) -> CuttingSession:
    """Opens one graph that cuts views and encodes them; arguments and errors as for `open_session`."""
    library = load_library(provider)
    if provider != "cpu":
        return GpuSession(library, graph, precision, provider)
    return CpuSession(library, graph, precision, threads)
