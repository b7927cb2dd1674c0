"""The part of the runtime that TensorRT for RTX alone has: whether a plan fits, compiled kernels, CUDA graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["RtxContexts", "check_fit"]

_BUILD_AGAIN = "build it again: mvrec-edge build BUNDLE --for rtx --force"
# By the names of the library's diagnostics, what explains most first: what is wrong, and what to do about it.
_REASONS = {
    "MALFORMED_ENGINE": ("it is not a plan of this library and release", _BUILD_AGAIN),
    "VERSION_MISMATCH": ("it was built with another release", _BUILD_AGAIN),
    "UNSUPPORTED_CC": (
        "it does not run on GPUs of this compute capability",
        "mvrec-edge build BUNDLE --for rtx --capability, or another engine: --engine onnxruntime --provider cuda",
    ),
    "OLD_CUDA_DRIVER": (
        "the NVIDIA driver is too old for it",
        "update the driver; 'mvrec-edge doctor' says which is there",
    ),
    "OLD_CUDA_RUNTIME": ("the CUDA runtime is too old for it", "update the library and CUDA together"),
    "INSUFFICIENT_GPU_MEMORY": (
        "the GPU has too little memory for it",
        "close what else uses the GPU, or build with a smaller --batch",
    ),
    "CUDA_ERROR": ("CUDA does not work here", "run 'mvrec-edge doctor'"),
}


def check_fit(library: Any, runtime: Any, plan: bytes, path: Path, gpu: GpuModel, said: list[str]) -> None:
    """Asks the library whether it can run a plan here, before it loads it.

    Args:
        library: The module of TensorRT for RTX.
        runtime: Its runtime.
        plan: The plan's bytes, verified.
        path: Where it lies.
        gpu: The GPU.
        said: The errors that the library has said, which explain what it has no diagnosis for.

    Raises:
        EnvironmentUnfitError: It cannot.
    """
    validity, diagnostics = runtime.get_engine_validity(plan)
    if validity != library.EngineValidity.INVALID:
        return
    names = library.EngineInvalidityDiagnostics.__members__
    bits = int(diagnostics)
    for name, (what, fix) in _REASONS.items():
        if name in names and bits & int(names[name].value):
            raise EnvironmentUnfitError(
                f"TensorRT for RTX {library.__version__} cannot run the plan on {gpu.name}, compute capability "
                f"{gpu.capability}: {what}",
                where=path,
                fix=fix,
            )
    reason = "; ".join(said) or "it does not say why"
    raise EnvironmentUnfitError(
        f"TensorRT for RTX {library.__version__} cannot run the plan here: {reason}",
        where=path,
        fix="run 'mvrec-edge doctor'",
    )


class RtxContexts:
    """Makes the execution contexts of a plan, which share the kernels that are compiled for it.

    Args:
        library: The module of TensorRT for RTX.
        engine: The plan, loaded.
        kept: Kernels that were compiled before; none where it is empty. The library refuses those of another driver,
            GPU or release by itself.
    """

    def __init__(self, library: Any, engine: Any, kept: bytes) -> None:
        self._engine = engine
        self._kept = kept
        rtx_config = engine.create_runtime_config()
        # The library's own switch: it captures each batch size after its kernels are compiled.
        rtx_config.cuda_graph_strategy = library.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        # All kernels of a batch size before its first answer: where they are exchanged in the background, as by
        # default, times and the last digits of embeddings change while the line runs.
        strategies = library.DynamicShapesKernelSpecializationStrategy
        rtx_config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        rtx_config.set_execution_context_allocation_strategy(library.ExecutionContextAllocationStrategy.USER_MANAGED)
        self._rtx_cache = rtx_config.create_runtime_cache()
        if kept:
            self._rtx_cache.deserialize(kept)
        rtx_config.set_runtime_cache(self._rtx_cache)
        self._rtx_config = rtx_config

    def make(self) -> Any:
        """A context; None where the library cannot make one."""
        return self._engine.create_execution_context(self._rtx_config)

    def compiled(self) -> bytes | None:
        """The kernels that are compiled by now; None where they are those that were there when it was last asked."""
        data = bytes(self._rtx_cache.serialize())
        if data == self._kept:
            return None
        self._kept = data
        return data
