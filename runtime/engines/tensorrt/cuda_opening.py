"""Which Python library calls the CUDA runtime: cuda-python, or else PyCUDA."""

from __future__ import annotations

from typing import Any

from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import CudaRuntime
from mvrec_edge.runtime.errors import MissingDependencyError

__all__ = ["open_cuda"]


def open_cuda(engine: str = "tensorrt") -> CudaRuntime:
    """Opens the first GPU with cuda-python, or else with PyCUDA.

    Args:
        engine: The engine that needs it, as a message names it.

    Raises:
        MissingDependencyError: Neither is installed.
        EnvironmentUnfitError: There is no GPU, or its driver does not fit.
    """
    from mvrec_edge.runtime.engines.tensorrt.on_cuda_python import OnCudaPython
    from mvrec_edge.runtime.engines.tensorrt.on_pycuda import OnPyCuda

    runtime = _cuda_python()
    if runtime is not None:
        return OnCudaPython(runtime)
    try:
        import pycuda.driver as driver
    except ImportError as error:
        raise MissingDependencyError(
            "cuda-python or pycuda", extra="tensorrt", purpose=f"the engine '{engine}'"
        ) from error
    return OnPyCuda(driver)


def _cuda_python() -> Any:
    """The module of runtime calls, which moved within cuda-python; None where it is not installed."""
    try:
        from cuda.bindings import runtime
    except ImportError:
        try:
            from cuda import cudart
        except ImportError:
            return None
        return cudart
    return runtime
