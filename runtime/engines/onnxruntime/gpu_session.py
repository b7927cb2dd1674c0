"""One graph in ONNX Runtime on an NVIDIA GPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.engine import first_line
from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_library import PROVIDERS, open_graph, why_not_loaded
from mvrec_edge.runtime.errors import EnvironmentUnfitError
from mvrec_edge.runtime.wording import counted

__all__ = ["FusedVariant", "GpuSession"]

_FATAL = 4
# Batch sizes whose launches are captured; what a line has of them, full batches and a few remainders, is fewer.
_MOST_CAPTURED = 16
_NOT_CAPTURED = -1
_NO_REASON = "it could not be loaded (is there a GPU with its driver, and the CUDA and cuDNN versions it needs?)"


@dataclass(frozen=True)
class FusedVariant:
    """A graph with operators of ONNX Runtime's own over the weights of another.

    Attributes:
        graph: The ONNX file, screened.
        summary: What is fused in it, for `device`.
    """

    graph: Path
    summary: str


class GpuSession:
    """One graph in ONNX Runtime on an NVIDIA GPU.

    On CUDA the launches of each batch size are captured once and then replayed as one, which is half of the time of a
    single view. Where the installed version cannot do that, or cannot run the variant, it is left out; `device` says
    which.

    Args:
        library: What `load_library` gave.
        graph: The ONNX file, screened.
        precision: Its precision.
        provider: `"cuda"` or `"tensorrt"`.
        variant: A graph with fused operators, which CUDA runs instead where the installed version can.

    Attributes:
        device: What it runs on, and how.

    Raises:
        EnvironmentUnfitError: The provider or the graph does not load.
    """

    def __init__(
        self, library: Any, graph: Path, precision: str, provider: str, variant: FusedVariant | None = None
    ) -> None:
        self._library = library
        self._bound: dict[int, _Bound] = {}
        self._captures = False
        # It would tell the console what is said below.
        library.set_default_logger_severity(_FATAL)
        if hasattr(library, "preload_dlls"):
            # Finds the CUDA libraries that came as Python packages; says nothing where there are none.
            library.preload_dlls(directory="")
        self._provider = provider
        self.device = f"gpu 0 through {PROVIDERS[provider]}"
        if provider == "cuda":
            self._session: Any = self._open_cuda(graph, variant)
        else:
            options: dict[str, Any] = {"device_id": 0, "trt_layer_norm_fp32_fallback": True}
            options |= {f"trt_{precision}_enable": True} if precision != "fp32" else {}
            self._session = self._open(graph, [(PROVIDERS["tensorrt"], options), *_cuda_providers(captured=False)])
        # A provider that cannot load is left out in silence, and the work would go to the CPU.
        if self._session.get_providers()[0] != PROVIDERS[provider]:
            raise self._not_loaded(why_not_loaded(library, provider) or _NO_REASON)

    def _open_cuda(self, graph: Path, variant: FusedVariant | None) -> Any:
        graphs = [(variant.graph, f", {variant.summary}")] if variant else []
        ways = [(file, summary, captured) for file, summary in [*graphs, (graph, "")] for captured in (True, False)]
        for number, (file, summary, captured) in enumerate(ways, 1):
            try:
                session = self._open(file, _cuda_providers(captured))
            except EnvironmentUnfitError:
                if number == len(ways):
                    raise
                continue
            self._captures = captured
            self.device += summary + (", captured launches" if captured else "")
            return session
        raise AssertionError("the last way returns or raises")

    def _open(self, graph: Path, providers: list[Any]) -> Any:
        options = self._library.SessionOptions()
        options.log_severity_level = _FATAL
        try:
            return open_graph(self._library, graph, options, providers)
        except EnvironmentUnfitError as error:
            if (reason := why_not_loaded(self._library, self._provider)) is not None:
                raise self._not_loaded(reason) from error
            raise

    def _not_loaded(self, reason: str) -> EnvironmentUnfitError:
        return EnvironmentUnfitError(
            f"ONNX Runtime {self._library.__version__} does not run on {PROVIDERS[self._provider]}: {reason}",
            fix="run 'mvrec-edge doctor', or choose --provider cpu",
        )

    def run(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Computes uint8 `[n, S, S, 4]` to `[n, C]`.

        Raises:
            EnvironmentUnfitError: The GPU failed, as when its memory does not hold so many views.
        """
        try:
            if len(views) not in self._bound:
                self._bound[len(views)] = self._bind(views)
            bound = self._bound[len(views)]
            bound.views.update_inplace(views)
            self._session.run_with_iobinding(bound.binding, bound.options)
            return np.array(bound.embeddings.numpy())
        except Exception as error:
            raise EnvironmentUnfitError(
                f"ONNX Runtime failed on the GPU with {counted(len(views), 'view')}: {first_line(error)}",
                fix="choose a smaller --batch, and see what else uses the GPU's memory",
            ) from error

    def _bind(self, views: npt.NDArray[np.uint8]) -> _Bound:
        """Makes room on the GPU for the input and the output of a batch size."""
        value = self._library.OrtValue.ortvalue_from_numpy(views, "cuda", 0)
        shape = (len(views), self._session.get_outputs()[0].shape[1])
        result = self._library.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, "cuda", 0)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("views", value)
        binding.bind_ortvalue_output("embedding", result)
        options = self._library.RunOptions()
        options.log_severity_level = _FATAL
        if self._captures:
            # What is captured stays on the GPU for good, so the rarer batch sizes are launched operation by operation.
            number = len(self._bound) + 1
            options.add_run_config_entry("gpu_graph_id", str(number if number <= _MOST_CAPTURED else _NOT_CAPTURED))
        return _Bound(value, result, binding, options)

    def close(self) -> None:
        """Frees the session."""
        self._bound.clear()
        self._session = None


@dataclass(frozen=True)
class _Bound:
    """What a batch size has on the GPU."""

    views: Any
    embeddings: Any
    binding: Any
    options: Any


def _cuda_providers(captured: bool) -> list[Any]:
    # TensorFloat-32 would make fp32 a coarser precision than the bundle's certificate says.
    options: dict[str, Any] = {"device_id": 0, "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"}
    options |= {"enable_cuda_graph": 1} if captured else {}
    return [(PROVIDERS["cuda"], options), PROVIDERS["cpu"]]
