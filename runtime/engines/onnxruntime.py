"""ONNX Runtime, on the CPU or through one of its GPU providers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.bundle.onnx_screen import screen_onnx
from mvrec_edge.runtime.engines.base import CPU_BATCH, GPU_BATCH, GraphEngine, preferred_precision
from mvrec_edge.runtime.errors import EnvironmentUnfitError, MissingDependencyError, UsageError
from mvrec_edge.runtime.threads import usable_cpus

if TYPE_CHECKING:
    from mvrec_edge.runtime.bundle import Bundle

__all__ = ["PROVIDERS", "OnnxRuntimeEngine", "OnnxRuntimeSession"]

#: Provider names on the command line, and what ONNX Runtime calls them.
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}

_CPU = PROVIDERS["cpu"]


class OnnxRuntimeEngine(GraphEngine):
    """Runs a bundle's graph in ONNX Runtime.

    Args:
        bundle: A verified bundle.
        precision: Which graph; by default the most exact one.
        provider: `"cpu"` (the default), `"cuda"` or `"tensorrt"`.
        batch: Most views that are computed at once; by default 9 on a CPU and 54 on a GPU.
        threads: CPU threads; by default one for each core that this process may use.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
        EnvironmentUnfitError: The installed version cannot run the graph, or not on this provider.
        IntegrityError: The graph holds something that must not be run.
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
    ) -> None:
        provider = provider or "cpu"
        able = self.precisions if provider == "cpu" else (*self.precisions, "bf16")
        precision = preferred_precision(bundle, precision, able, f"{self.name} on {provider}")
        session = OnnxRuntimeSession(bundle.graph(precision), precision, provider, threads)
        super().__init__(bundle, precision, session, batch or (CPU_BATCH if provider == "cpu" else GPU_BATCH))


class OnnxRuntimeSession:
    """One graph in ONNX Runtime.

    Args:
        graph: The ONNX file.
        precision: Its precision.
        provider: One of `PROVIDERS`.
        threads: CPU threads; by default one for each core that this process may use.

    Attributes:
        device: What it really runs on.

    Raises:
        The same as `OnnxRuntimeEngine`.
    """

    def __init__(self, graph: Path, precision: str, provider: str = "cpu", threads: int | None = None) -> None:
        if provider not in PROVIDERS:
            raise UsageError(f"ONNX Runtime has no provider '{provider}'", fix="one of " + ", ".join(PROVIDERS))
        try:
            import onnxruntime  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            extra = "cpu" if provider == "cpu" else "gpu"
            raise MissingDependencyError("onnxruntime", extra=extra, purpose="the engine 'onnxruntime'") from error
        screen_onnx(graph)
        wanted = PROVIDERS[provider]
        if wanted not in onnxruntime.get_available_providers():
            raise EnvironmentUnfitError(
                f"this build of ONNX Runtime ({onnxruntime.__version__}) has no {wanted}, it has "
                f"{', '.join(onnxruntime.get_available_providers())}",
                fix="pip uninstall onnxruntime onnxruntime-gpu, then install the extra 'gpu' alone",
            )
        if provider != "cpu" and hasattr(onnxruntime, "preload_dlls"):
            # Finds the CUDA libraries that came as Python packages; says nothing where there are none.
            onnxruntime.preload_dlls(directory="")
        threads = threads or usable_cpus()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Errors only: its warnings concern the graph's author, and would break into a progress bar.
        options.log_severity_level = 3
        if provider == "cpu" and precision != "int8":
            # A packed copy of the weights gains 1 to 6% of the time and costs half the weights' size again.
            options.add_session_config_entry("session.disable_prepacking", "1")
        try:
            session = onnxruntime.InferenceSession(str(graph), options, providers=_providers(provider, precision))
        except Exception as error:
            raise EnvironmentUnfitError(
                f"ONNX Runtime {onnxruntime.__version__} cannot load the graph: {_first_line(error)}",
                where=graph,
                fix="pip install --upgrade onnxruntime, or choose another --engine or --precision",
            ) from error
        # A provider that cannot load is left out in silence, and the work would go to the CPU.
        if session.get_providers()[0] != wanted:
            raise EnvironmentUnfitError(
                f"ONNX Runtime would run on {session.get_providers()[0]} instead of {wanted}: "
                f"{_why_not_loaded(onnxruntime, provider)}",
                fix="run 'mvrec-edge doctor', or choose --provider cpu",
            )
        self._session: Any = session
        self._library: Any = onnxruntime
        self._provider = provider
        self._bound: dict[int, tuple[Any, Any]] = {}
        self.device = f"cpu, {threads} threads" if provider == "cpu" else f"gpu 0 through {wanted}"

    def run(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Computes uint8 `[n, S, S, 4]` to `[n, C]`."""
        if self._provider == "cpu":
            return np.asarray(self._session.run(["embedding"], {"views": views})[0])
        return self._run_bound(views)

    def _run_bound(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Runs on a GPU from an input that stays there, one for each batch size."""
        if len(views) not in self._bound:
            value = self._library.OrtValue.ortvalue_from_numpy(views, "cuda", 0)
            binding = self._session.io_binding()
            binding.bind_ortvalue_input("views", value)
            binding.bind_output("embedding", "cpu")
            self._bound[len(views)] = (value, binding)
        value, binding = self._bound[len(views)]
        value.update_inplace(views)
        self._session.run_with_iobinding(binding)
        return np.asarray(binding.copy_outputs_to_cpu()[0])

    def close(self) -> None:
        """Frees the session."""
        self._bound.clear()
        self._session = None


def _providers(provider: str, precision: str) -> list[Any]:
    if provider == "cpu":
        return [_CPU]
    if provider == "cuda":
        # TensorFloat-32 would make fp32 a coarser precision than the bundle's certificate says.
        return [(PROVIDERS["cuda"], {"device_id": 0, "use_tf32": 0, "cudnn_conv_algo_search": "HEURISTIC"}), _CPU]
    options: dict[str, Any] = {"device_id": 0, "trt_layer_norm_fp32_fallback": True}
    options |= {f"trt_{precision}_enable": True} if precision != "fp32" else {}
    return [(PROVIDERS["tensorrt"], options), (PROVIDERS["cuda"], {"device_id": 0, "use_tf32": 0}), _CPU]


def _why_not_loaded(library: Any, provider: str) -> str:
    """What the loader says about the provider's library; ONNX Runtime prints it only to a log."""
    import ctypes

    file = Path(library.__file__).parent / "capi" / f"libonnxruntime_providers_{provider}.so"
    try:
        ctypes.CDLL(str(file))
    except OSError as error:
        # It may only be loaded by ONNX Runtime itself, whose symbols it lacks here; that is no reason.
        if "undefined symbol" not in str(error):
            return _first_line(error)
    return "it could not be loaded (is there a GPU with its driver, and the CUDA and cuDNN versions it needs?)"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
