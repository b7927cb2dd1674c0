"""One graph in ONNX Runtime on the CPU."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.bundle.onnx_file.outline import outline_with_references
from mvrec_edge.runtime.engines.onnxruntime.fusion import fuse_products
from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_library import PROVIDERS, open_graph
from mvrec_edge.runtime.engines.processor import Processor, read_processor
from mvrec_edge.runtime.errors import EnvironmentUnfitError
from mvrec_edge.runtime.threads import usable_cpus

__all__ = ["CpuSession"]

_FATAL = 4
_FOLDER_OF_WEIGHTS = "session.model_external_initializers_file_folder_path"


class CpuSession:
    """One graph in ONNX Runtime on the CPU, its weights mapped from the file where the installed version can do that.

    An int8 graph gets fused products on x86, see `fusion/cpu_int8.py`; elsewhere ONNX Runtime fuses them itself.

    Args:
        library: What `load_library` gave.
        graph: The ONNX file, screened.
        precision: Its precision.
        threads: CPU threads; by default one for each core that this process may use.
        processor: The processor, which decides how int8 is computed; by default this machine's.

    Attributes:
        device: What it runs on.
        maps_weights: Whether large weights are mapped from the file, and not read.

    Raises:
        EnvironmentUnfitError: The installed version cannot run the graph.
    """

    def __init__(
        self, library: Any, graph: Path, precision: str, threads: int | None = None, processor: Processor | None = None
    ) -> None:
        threads = threads or usable_cpus()
        processor = processor or read_processor()
        on_x86 = precision == "int8" and processor.is_x86
        unsigned_weights = on_x86 and not processor.has_int8
        self._session: Any = None
        self.maps_weights = False
        self.device = f"cpu, {threads} threads"
        # A version before 1.21 does not know where the weights are; it reads the file itself, and takes longer.
        # What is wrong with a file is said then as well.
        with contextlib.suppress(EnvironmentUnfitError, ValueError, IndexError):
            if not _shadowed(graph):
                options = _options(library, precision, threads, unsigned_weights)
                options.add_session_config_entry(_FOLDER_OF_WEIGHTS, str(graph.parent.absolute()))
                fused, change = fuse_products(graph) if on_x86 else (0, None)
                outline = outline_with_references(graph, change).model
                self._session = open_graph(library, outline, options, [PROVIDERS["cpu"]], name=graph)
                self.maps_weights = True
                self.device += f", {fused} fused products" if fused else ""
        if self._session is None:
            options = _options(library, precision, threads, unsigned_weights)
            self._session = open_graph(library, graph, options, [PROVIDERS["cpu"]])

    def run(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Computes uint8 `[n, S, S, 4]` to `[n, C]`."""
        return np.asarray(self._session.run(["embedding"], {"views": views})[0])

    def close(self) -> None:
        """Frees the session."""
        self._session = None


def _shadowed(graph: Path) -> bool:
    """Whether a library that looks for the weights in the working directory would find those of another graph there."""
    there = Path(graph.name)
    return there.exists() and not there.samefile(graph)


def _options(library: Any, precision: str, threads: int, unsigned_weights: bool) -> Any:
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    # What it would say breaks into progress bars; its errors come as exceptions, too.
    options.log_severity_level = _FATAL
    # A plan of the memory for each batch size would lie beside what the first run took, and gains no time.
    options.enable_mem_pattern = False
    if unsigned_weights:
        # Two products of an unsigned and a signed byte may overflow 16 bits; this makes weights unsigned as well. With
        # VNNI, which sums in 32 bits, it would take twice the time and more memory.
        options.add_session_config_entry("session.x64quantprecision", "1")
    if precision != "int8":
        # A packed copy of the weights gains 1 to 6% of the time and costs half the weights' size again.
        options.add_session_config_entry("session.disable_prepacking", "1")
    return options
