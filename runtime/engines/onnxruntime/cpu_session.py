"""One graph in ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.engine import first_line
from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_library import PROVIDERS, open_graph
from mvrec_edge.runtime.engines.processor import Processor, read_processor
from mvrec_edge.runtime.errors import EnvironmentUnfitError
from mvrec_edge.runtime.threads import usable_cpus
from mvrec_edge.runtime.views.patches import PatchBatch
from mvrec_edge.runtime.wording import counted

__all__ = ["CpuSession"]

_FATAL = 4


class CpuSession:
    """One graph in ONNX Runtime on the CPU, which maps the weights beside it.

    Args:
        library: What `load_library` gave.
        graph: The ONNX file, screened.
        precision: Its precision.
        threads: CPU threads; by default one for each core that this process may use.
        processor: The processor, which decides how int8 is computed; by default this machine's.
        summary: What is fused in the graph, for `device`; empty for a graph of standard operators.

    Attributes:
        device: What it runs on.

    Raises:
        EnvironmentUnfitError: The installed version cannot run the graph.
    """

    def __init__(
        self,
        library: Any,
        graph: Path,
        precision: str,
        threads: int | None = None,
        processor: Processor | None = None,
        summary: str = "",
    ) -> None:
        threads = threads or usable_cpus()
        options = _options(library, precision, threads, processor or read_processor())
        self._session: Any = open_graph(library, graph, options, [PROVIDERS["cpu"]])
        self.device = f"cpu, {counted(threads, 'thread')}" + (f", {summary}" if summary else "")

    def run(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Computes uint8 `[n, S, S, 4]` to `[n, C]`."""
        return np.asarray(self._session.run(["embedding"], {"views": views})[0])

    def run_patches(self, batch: PatchBatch, cut: npt.NDArray[np.uint8] | None) -> npt.NDArray[Any]:
        """Computes a batch to `[n, C]` with a graph that cuts views, and fills `cut` where it is given.

        Raises:
            EnvironmentUnfitError: The graph takes or gives something else.
        """
        try:
            names = ["embedding"] if cut is None else ["embedding", "cut_views"]
            answers = self._session.run(names, batch.feeds())
            if cut is not None:
                cut[:] = answers[1]
            return np.asarray(answers[0])
        except Exception as error:
            raise EnvironmentUnfitError(
                f"ONNX Runtime failed on a graph that cuts views: {first_line(error)}",
                fix="export the bundle again, without --views-in-graph if that does not help",
            ) from error

    def close(self) -> None:
        """Frees the session."""
        self._session = None


def _options(library: Any, precision: str, threads: int, processor: Processor) -> Any:
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    # What it would say breaks into progress bars; its errors come as exceptions, too.
    options.log_severity_level = _FATAL
    # A plan of the memory for each batch size would lie beside what the first run took, and gains no time.
    options.enable_mem_pattern = False
    if precision != "int8":
        # A packed copy of the weights gains 1 to 6% of the time and costs half the weights' size again.
        options.add_session_config_entry("session.disable_prepacking", "1")
    elif processor.is_x86 and not processor.has_int8:
        # Two products of an unsigned and a signed byte may overflow 16 bits; this makes weights unsigned as well. With
        # VNNI, which sums in 32 bits, it would take twice the time and more memory.
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options
