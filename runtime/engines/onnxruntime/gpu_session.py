"""One graph in ONNX Runtime on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.engine import first_line
from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_library import (
    PROVIDERS,
    advice_on_gpu,
    open_graph,
    why_not_loaded,
)
from mvrec_edge.runtime.errors import EnvironmentUnfitError
from mvrec_edge.runtime.views.patches import PatchBatch
from mvrec_edge.runtime.wording import counted

__all__ = ["FusedVariant", "GpuSession"]

_FATAL = 4
# Shapes whose launches are captured; what a line has of them, full batches and a few remainders, is fewer.
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
        self._bound: dict[tuple[Any, ...], _Bound] = {}
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
        return self._computed({"views": views}, len(views), ("embedding",), kept=True)["embedding"]

    def run_patches(self, batch: PatchBatch, cut: npt.NDArray[np.uint8] | None) -> npt.NDArray[Any]:
        """Computes a batch to `[n, C]` with a graph that cuts views, and fills `cut` where it is given.

        Raises:
            EnvironmentUnfitError: The GPU failed, or the graph takes or gives something else.
        """
        names = ("embedding",) if cut is None else ("embedding", "cut_views")
        # Windows that follow the box have ever new shapes, and what is kept for them stays on the GPU.
        answers = self._computed(batch.feeds(), len(batch), names, kept=len(self._bound) < _MOST_CAPTURED)
        if cut is not None:
            cut[:] = answers["cut_views"]
        return answers["embedding"]

    def _computed(
        self, feeds: Mapping[str, npt.NDArray[Any]], count: int, names: Sequence[str], *, kept: bool
    ) -> dict[str, npt.NDArray[Any]]:
        """The outputs of these names for `count` views."""
        shapes = (*names, *(value.shape for value in feeds.values()))
        try:
            bound = self._bound.get(shapes)
            if bound is None:
                bound = self._bind(feeds, count, names, kept=kept)
                if kept:
                    self._bound[shapes] = bound
            for name, value in feeds.items():
                bound.inputs[name].update_inplace(value)
            self._session.run_with_iobinding(bound.binding, bound.options)
            return {name: np.array(value.numpy()) for name, value in bound.outputs.items()}
        except Exception as error:
            raise EnvironmentUnfitError(
                f"ONNX Runtime failed on the GPU with {counted(count, 'view')}: {first_line(error)}",
                fix=advice_on_gpu(str(error)),
            ) from error

    def _bind(self, feeds: Mapping[str, npt.NDArray[Any]], count: int, names: Sequence[str], *, kept: bool) -> _Bound:
        """Makes room on the GPU for inputs and outputs of these shapes."""
        binding = self._session.io_binding()
        inputs = {name: self._library.OrtValue.ortvalue_from_numpy(value, "cuda", 0) for name, value in feeds.items()}
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        outputs = {}
        for output in self._session.get_outputs():
            if output.name in names:
                shape = (count, *output.shape[1:])
                kind = np.uint8 if "uint8" in output.type else np.float32
                outputs[output.name] = self._library.OrtValue.ortvalue_from_shape_and_type(shape, kind, "cuda", 0)
                binding.bind_ortvalue_output(output.name, outputs[output.name])
        options = self._library.RunOptions()
        options.log_severity_level = _FATAL
        if self._captures:
            # What is captured stays on the GPU for good, so the rarer shapes are launched operation by operation.
            number = len(self._bound) + 1
            captured = kept and number <= _MOST_CAPTURED
            options.add_run_config_entry("gpu_graph_id", str(number if captured else _NOT_CAPTURED))
        return _Bound(inputs, outputs, binding, options)

    def close(self) -> None:
        """Frees the session."""
        self._bound.clear()
        self._session = None


@dataclass(frozen=True)
class _Bound:
    """What inputs of one shape have on the GPU."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]
    binding: Any
    options: Any


def _cuda_providers(captured: bool) -> list[Any]:
    # TensorFloat-32 would make fp32 a coarser precision than the bundle's certificate says.
    options: dict[str, Any] = {"device_id": 0, "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"}
    options |= {"enable_cuda_graph": 1} if captured else {}
    return [(PROVIDERS["cuda"], options), PROVIDERS["cpu"]]
