"""CUDA through cuda-python."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.tensorrt.cuda_driver import advice_for_driver, split_version
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import CudaRuntime, GpuModel
from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["OnCudaPython"]


class OnCudaPython(CudaRuntime):
    """The runtime calls of cuda-python, in the GPU's primary context.

    Args:
        runtime: The module `cuda.bindings.runtime`, or `cuda.cudart` of older releases.

    Raises:
        EnvironmentUnfitError: There is no GPU, or its driver does not fit.
    """

    library = "cuda-python"

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._pinned: list[int] = []
        self._addresses: list[int] = []
        self._graphs: list[tuple[Any, Any]] = []
        self._call(runtime.cudaSetDevice, 0)
        properties = self._call(runtime.cudaGetDeviceProperties, 0)
        name = properties.name.decode() if isinstance(properties.name, bytes) else str(properties.name)
        self.gpu = GpuModel(name.rstrip("\0"), f"{properties.major}.{properties.minor}")
        self._stream = self._call(runtime.cudaStreamCreate)

    def _call(self, function: Any, *arguments: Any) -> Any:
        try:
            status, *values = function(*arguments)
        # Older releases raise a plain RuntimeError where the driver's library is missing.
        except RuntimeError as error:
            raise EnvironmentUnfitError(f"CUDA: {error}", fix="run 'mvrec-edge doctor'") from error
        if int(status) != 0:
            name = str(getattr(status, "name", status))
            raise EnvironmentUnfitError(
                f"CUDA: {getattr(function, '__name__', 'a call')} failed with {name}", fix=self._advice(name)
            )
        return values[0] if values else None

    def _advice(self, status: str) -> str:
        """What to do about a status."""
        if status == "cudaErrorMemoryAllocation":
            return "close what else uses the GPU's memory, or give a smaller --batch; nvidia-smi shows who holds it"
        if status == "cudaErrorInsufficientDriver":
            # No driver at all is told in the same way.
            _, number = self._runtime.cudaDriverGetVersion()
            return advice_for_driver(split_version(int(number)))
        return "run 'mvrec-edge doctor'"

    @property
    def stream(self) -> int:
        """The stream's handle, see `Cuda`."""
        return int(self._stream)

    def pinned(self, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
        """Page-locked host memory, see `Cuda`."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(self._call(self._runtime.cudaMallocHost, size))
        self._pinned.append(address)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address)).view(dtype).reshape(shape)

    def allocate(self, size: int) -> int:
        """The address of new memory on the GPU, see `Cuda`."""
        address = int(self._call(self._runtime.cudaMalloc, size))
        self._addresses.append(address)
        return address

    def to_gpu(self, address: int, values: npt.NDArray[Any]) -> None:
        """Starts a copy, see `Cuda`."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call(self._runtime.cudaMemcpyAsync, address, values.ctypes.data, values.nbytes, kind, self._stream)

    def from_gpu(self, values: npt.NDArray[Any], address: int) -> None:
        """Starts a copy, see `Cuda`."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call(self._runtime.cudaMemcpyAsync, values.ctypes.data, address, values.nbytes, kind, self._stream)

    def wait(self) -> None:
        """Waits for the stream, see `Cuda`."""
        self._call(self._runtime.cudaStreamSynchronize, self._stream)

    def capture(self, work: Callable[[], None]) -> Callable[[], None] | None:
        """Records work as a CUDA graph, see `Cuda`."""
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
        """Frees everything, see `Cuda`."""
        if self._stream is None:
            return
        runtime = self._runtime
        for graph, launched in self._graphs:
            self._free(runtime.cudaGraphExecDestroy, launched)
            self._free(runtime.cudaGraphDestroy, graph)
        for address in self._addresses:
            self._free(runtime.cudaFree, address)
        for address in self._pinned:
            self._free(runtime.cudaFreeHost, address)
        self._free(runtime.cudaStreamDestroy, self._stream)
        self._graphs, self._addresses, self._pinned, self._stream = [], [], [], None

    def _free(self, function: Any, handle: Any) -> None:
        # After some failures every call fails, and the first one was what had to be said.
        with contextlib.suppress(EnvironmentUnfitError):
            self._call(function, handle)
