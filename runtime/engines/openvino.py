"""OpenVINO on the CPU: the fastest way to run bf16 and int8 graphs on Intel and AMD line PCs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.base import CPU_BATCH, GraphEngine, preferred_precision
from mvrec_edge.runtime.errors import EnvironmentUnfitError, MissingDependencyError
from mvrec_edge.runtime.onnx_file.screen import screen_onnx
from mvrec_edge.runtime.threads import usable_cpus

if TYPE_CHECKING:
    from mvrec_edge.runtime.bundle import Bundle

__all__ = ["OpenVinoEngine", "OpenVinoSession"]

_DEVICE = "CPU"


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
        IntegrityError: The graph holds something that must not be run.
        UsageError: The bundle has no such graph.
    """

    name = "openvino"
    precisions = ("fp32", "fp16", "bf16", "int8")

    def __init__(
        self, bundle: Bundle, *, precision: str | None = None, batch: int | None = None, threads: int | None = None
    ) -> None:
        precision = preferred_precision(bundle, precision, self.precisions, self.name)
        session = OpenVinoSession(bundle.graph(precision), precision, threads)
        super().__init__(bundle, precision, session, batch or CPU_BATCH)


class OpenVinoSession:
    """One graph in OpenVINO.

    Args:
        graph: The ONNX file.
        precision: Its precision; decides the type of what the graph leaves open (see `_hint`).
        threads: CPU threads; by default one for each core that this process may use.

    Attributes:
        device: What it really runs on.

    Raises:
        The same as `OpenVinoEngine`.
    """

    def __init__(self, graph: Path, precision: str, threads: int | None = None) -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingDependencyError("openvino", extra="openvino", purpose="the engine 'openvino'") from error
        screen_onnx(graph)
        threads = threads or usable_cpus()
        try:
            core = openvino.Core()
            hint = _hint(precision, core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES"))
            settings = {
                "INFERENCE_PRECISION_HINT": hint,
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
            }
            compiled = core.compile_model(core.read_model(str(graph)), _DEVICE, settings)
            self._request: Any = compiled.create_infer_request()
            self._output: Any = compiled.output(0)
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise EnvironmentUnfitError(
                f"OpenVINO {openvino.__version__} cannot load the graph: {first}",
                where=graph,
                fix="pip install --upgrade openvino, or choose --engine onnxruntime",
            ) from error
        self.device = f"cpu, {threads} threads, {hint} between the products"

    def run(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Computes uint8 `[n, S, S, 4]` to float32 `[n, C]`."""
        answer = self._request.infer({"views": views}, share_inputs=True)[self._output]
        # The request writes its next answer to the same place.
        return np.array(answer, np.float32)

    def close(self) -> None:
        """Frees the compiled model."""
        self._request = self._output = None


def _hint(precision: str, capabilities: list[str]) -> str:
    """The type of what stands between the products.

    A typed graph says itself what is narrow: with the hint bf16 its residual stream would be narrowed as well, which
    gains 1% of the time and makes the distance to float32 sixteen times larger. An int8 graph leaves open what stands
    between its products; bfloat16 there costs nothing that int8 has not cost already. Elsewhere it would be emulated.
    """
    return "bf16" if precision == "int8" and "BF16" in capabilities else "f32"
