"""The few calls of the CUDA runtime that a TensorRT engine needs, on cuda-python or PyCUDA, whichever is installed."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import EnvironmentUnfitError, MissingDependencyError

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
    runtime = _cuda_python()
    if runtime is not None:
        return _CudaPython(runtime)
    try:
        import pycuda.driver as driver
    except ImportError as error:
        raise MissingDependencyError(
            "cuda-python or pycuda", extra="tensorrt", purpose="the engine 'tensorrt'"
        ) from error
    return _PyCuda(driver)


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


class _CudaPython(Cuda):
    library = "cuda-python"

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._pinned: list[int] = []
        self._addresses: list[int] = []
        self._graphs: list[tuple[Any, Any]] = []
        self._call(runtime.cudaSetDevice, 0)
        properties = self._call(runtime.cudaGetDeviceProperties, 0)
        name = properties.name.decode() if isinstance(properties.name, bytes) else str(properties.name)
        self.gpu = Gpu(name.rstrip("\0"), f"{properties.major}.{properties.minor}")
        self._stream = self._call(runtime.cudaStreamCreate)

    def _call(self, function: Any, *arguments: Any) -> Any:
        status, *values = function(*arguments)
        if int(status) != 0:
            raise EnvironmentUnfitError(
                f"CUDA: {getattr(function, '__name__', 'a call')} failed with {getattr(status, 'name', status)}",
                fix="run 'mvrec-edge doctor'; another program may hold the GPU's memory",
            )
        return values[0] if values else None

    @property
    def stream(self) -> int:
        return int(self._stream)

    def pinned(self, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
        import ctypes

        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(self._call(self._runtime.cudaMallocHost, size))
        self._pinned.append(address)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address)).view(dtype).reshape(shape)

    def allocate(self, size: int) -> int:
        address = int(self._call(self._runtime.cudaMalloc, size))
        self._addresses.append(address)
        return address

    def to_gpu(self, address: int, values: npt.NDArray[Any]) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call(self._runtime.cudaMemcpyAsync, address, values.ctypes.data, values.nbytes, kind, self._stream)

    def from_gpu(self, values: npt.NDArray[Any], address: int) -> None:
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call(self._runtime.cudaMemcpyAsync, values.ctypes.data, address, values.nbytes, kind, self._stream)

    def wait(self) -> None:
        self._call(self._runtime.cudaStreamSynchronize, self._stream)

    def capture(self, work: Callable[[], None]) -> Callable[[], None] | None:
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        try:
            self._call(self._runtime.cudaStreamBeginCapture, self._stream, mode)
            try:
                work()
            finally:
                graph = self._call(self._runtime.cudaStreamEndCapture, self._stream)
            try:
                launched = self._call(self._runtime.cudaGraphInstantiate, graph, 0)
            except EnvironmentUnfitError:
                self._call(self._runtime.cudaGraphDestroy, graph)
                raise
        except EnvironmentUnfitError:
            # Some layers cannot be captured; the work is then started call by call, which is right and a little slower.
            return None
        self._graphs.append((graph, launched))

        def launch() -> None:
            self._call(self._runtime.cudaGraphLaunch, launched, self._stream)

        return launch

    def close(self) -> None:
        if self._stream is None:
            return
        runtime = self._runtime
        for graph, launched in self._graphs:
            self._call(runtime.cudaGraphExecDestroy, launched)
            self._call(runtime.cudaGraphDestroy, graph)
        for address in self._addresses:
            self._call(runtime.cudaFree, address)
        for address in self._pinned:
            self._call(runtime.cudaFreeHost, address)
        self._call(runtime.cudaStreamDestroy, self._stream)
        self._graphs, self._addresses, self._pinned, self._stream = [], [], [], None


class _PyCuda(Cuda):
    """PyCUDA, in the GPU's primary context, which TensorRT uses as well."""

    library = "pycuda"

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        try:
            driver.init()
            device = driver.Device(0)
            self._context = device.retain_primary_context()
        except driver.Error as error:
            raise EnvironmentUnfitError(f"CUDA: {error}", fix="run 'mvrec-edge doctor'") from error
        major, minor = device.compute_capability()
        self.gpu = Gpu(device.name(), f"{major}.{minor}")
        self._allocations: dict[int, Any] = {}
        with self.active():
            self._stream = driver.Stream()

    @contextlib.contextmanager
    def active(self) -> Any:
        self._context.push()
        try:
            yield
        except self._driver.Error as error:
            raise EnvironmentUnfitError(f"CUDA: {error}", fix="run 'mvrec-edge doctor'") from error
        finally:
            self._driver.Context.pop()

    @property
    def stream(self) -> int:
        return int(self._stream.handle)

    def pinned(self, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
        return np.asarray(self._driver.pagelocked_empty(shape, dtype))

    def allocate(self, size: int) -> int:
        allocation = self._driver.mem_alloc(size)
        self._allocations[int(allocation)] = allocation
        return int(allocation)

    def to_gpu(self, address: int, values: npt.NDArray[Any]) -> None:
        self._driver.memcpy_htod_async(address, values, self._stream)

    def from_gpu(self, values: npt.NDArray[Any], address: int) -> None:
        self._driver.memcpy_dtoh_async(values, address, self._stream)

    def wait(self) -> None:
        self._stream.synchronize()

    def close(self) -> None:
        if self._stream is None:
            return
        with self.active():
            for allocation in self._allocations.values():
                allocation.free()
            self._allocations = {}
            self._stream = None
        self._context.detach()
