"""The few calls of the CUDA runtime that a TensorRT engine needs, on cuda-python or PyCUDA, whichever is installed."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import MissingDependencyError

__all__ = ["Cuda", "Gpu", "open_cuda"]


@dataclass(frozen=True)
class Gpu:
    """What a plan depends on.

    Attributes:
        name: Such as `"Orin"`.
        capability: Compute capability, such as `"8.7"`.
    """

    name: str
    capability: str


class Cuda(ABC):
    """One GPU, one stream.

    Attributes:
        library: The Python library behind it.
        gpu: The GPU.
    """

    library: str = ""
    gpu: Gpu

    @property
    @abstractmethod
    def stream(self) -> int:
        """The stream's handle, as TensorRT takes it."""

    @abstractmethod
    def pinned(self, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
        """Host memory that the GPU copies from and to by itself."""

    @abstractmethod
    def allocate(self, size: int) -> int:
        """The address of `size` bytes on the GPU."""

    @abstractmethod
    def to_gpu(self, address: int, values: npt.NDArray[Any]) -> None:
        """Starts a copy from pinned memory to the GPU on the stream."""

    @abstractmethod
    def from_gpu(self, values: npt.NDArray[Any], address: int) -> None:
        """Starts a copy from the GPU to pinned memory on the stream."""

    @abstractmethod
    def wait(self) -> None:
        """Waits for everything on the stream."""

    def capture(self, work: Callable[[], None]) -> Callable[[], None] | None:  # noqa: ARG002
        """Records work on the stream as a CUDA graph and returns what launches it; None where that cannot be done."""
        return None

    def active(self) -> contextlib.AbstractContextManager[None]:
        """Within it, calls of this thread and of TensorRT go to this GPU."""
        return contextlib.nullcontext()

    @abstractmethod
    def close(self) -> None:
        """Frees everything that was allocated; may be called twice."""


def open_cuda() -> Cuda:
    """Opens the first GPU with cuda-python, or else with PyCUDA.

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
            "cuda-python or pycuda", extra="tensorrt", purpose="the engine 'tensorrt'"
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
