"""One graph in OpenVINO."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.engine import first_line
from mvrec_edge.runtime.engines.openvino.mapped_pages import giving_back
from mvrec_edge.runtime.engines.openvino.rewriting import rewrite
from mvrec_edge.runtime.engines.optional_library import import_library
from mvrec_edge.runtime.errors import EnvironmentUnfitError, dependency_error
from mvrec_edge.runtime.installing import install_libraries
from mvrec_edge.runtime.threads import usable_cpus
from mvrec_edge.runtime.wording import counted

__all__ = ["OpenVinoSession", "load_openvino"]

_DEVICE = "CPU"


def load_openvino(purpose: str = "the engine 'openvino'") -> Any:
    """Imports OpenVINO.

    Args:
        purpose: What it is needed for.

    Raises:
        MissingDependencyError: It is not installed.
        BrokenDependencyError: It does not load.
    """
    try:
        openvino = import_library("openvino")
        # Of what an interrupted install left behind, the first thing that is asked for is missing.
        _ = openvino.Core, openvino.__version__
    except Exception as error:
        raise dependency_error(error, "openvino", extra="openvino", purpose=purpose) from error
    return openvino


class OpenVinoSession:
    """One graph in OpenVINO.

    Args:
        graph: The ONNX file, screened.
        precision: Its precision; decides the type of what the graph leaves open (see `_hint`).
        threads: CPU threads; by default one for each core that this process may use.

    Attributes:
        device: What it really runs on.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        BrokenDependencyError: It does not load.
        EnvironmentUnfitError: The installed version cannot run the graph.
    """

    def __init__(self, graph: Path, precision: str, threads: int | None = None) -> None:
        openvino = load_openvino()
        threads = threads or usable_cpus()
        self._request: Any = None
        self._output: Any = None
        try:
            core = openvino.Core()
            hint = _hint(precision, core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES"))
            settings = {
                "INFERENCE_PRECISION_HINT": hint,
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
            }
            # It holds the mapping of the weights, so it has to be there until the last page was given back.
            model = _read(openvino, core, graph)
            with giving_back(graph.with_suffix(".weights")):
                self._compile(core, model, settings)
        except Exception as error:
            self.close()
            raise EnvironmentUnfitError(
                f"OpenVINO {openvino.__version__} cannot load the graph: {first_line(error)}",
                where=graph,
                fix=f"{install_libraries('openvino', option='--upgrade')}, or choose --engine onnxruntime",
            ) from error
        self.device = f"cpu, {counted(threads, 'thread')}, {hint} between the products"

    def _compile(self, core: Any, model: Any, settings: dict[str, Any]) -> None:
        compiled = core.compile_model(model, _DEVICE, settings)
        self._request = compiled.create_infer_request()
        self._output = compiled.output(0)
        # The first run packs the weights for all later ones.
        _, *shape = compiled.input(0).get_partial_shape()
        self.run(np.zeros((1, *(side.get_length() for side in shape)), np.uint8))

    def run(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Computes uint8 `[n, S, S, 4]` to float32 `[n, C]`."""
        answer = self._request.infer({"views": views}, share_inputs=True)[self._output]
        # The request writes its next answer to the same place.
        return np.array(answer, np.float32)

    def close(self) -> None:
        """Frees the compiled model."""
        self._request = self._output = None


def _read(library: Any, core: Any, graph: Path) -> Any:
    """The graph in the form that OpenVINO fuses, or as it is where this version lacks what that takes."""
    with contextlib.suppress(Exception):
        model = core.read_model(str(graph))
        rewrite(library, model)
        return model
    return core.read_model(str(graph))


def _hint(precision: str, capabilities: list[str]) -> str:
    """The type of what stands between the products.

    A typed graph says itself what is narrow: with the hint bf16 its residual stream would be narrowed as well, which
    gains 1% of the time and makes the distance to float32 sixteen times larger. An int8 graph leaves open what stands
    between its products; bfloat16 there costs nothing that int8 has not cost already. Elsewhere it would be emulated.
    """
    return "bf16" if precision == "int8" and "BF16" in capabilities else "f32"
