"""CUDA through PyCUDA."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import CudaRuntime, GpuModel
from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["OnPyCuda"]


class OnPyCuda(CudaRuntime):
    """PyCUDA, in the GPU's primary context, which TensorRT uses as well.

    Args:
        driver: The module `pycuda.driver`.

    Raises:
        EnvironmentUnfitError: There is no GPU, or its driver does not fit.
    """

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
        self.gpu = GpuModel(device.name(), f"{major}.{minor}")
        self._allocations: dict[int, Any] = {}
        with self.active():
            self._stream = driver.Stream()

    @contextlib.contextmanager
    def active(self) -> Any:
        """Makes the context current, see `Cuda`."""
        self._context.push()
        try:
            yield
        except self._driver.Error as error:
            raise EnvironmentUnfitError(f"CUDA: {error}", fix="run 'mvrec-edge doctor'") from error
        finally:
            self._driver.Context.pop()

    @property
    def stream(self) -> int:
        """The stream's handle, see `Cuda`."""
        return int(self._stream.handle)

    def pinned(self, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
        """Page-locked host memory, see `Cuda`."""
        return np.asarray(self._driver.pagelocked_empty(shape, dtype))

    def allocate(self, size: int) -> int:
        """The address of new memory on the GPU, see `Cuda`."""
        allocation = self._driver.mem_alloc(size)
        self._allocations[int(allocation)] = allocation
        return int(allocation)

    def to_gpu(self, address: int, values: npt.NDArray[Any]) -> None:
        """Starts a copy, see `Cuda`."""
        self._driver.memcpy_htod_async(address, values, self._stream)

    def from_gpu(self, values: npt.NDArray[Any], address: int) -> None:
        """Starts a copy, see `Cuda`."""
        self._driver.memcpy_dtoh_async(values, address, self._stream)

    def wait(self) -> None:
        """Waits for the stream, see `Cuda`."""
        self._stream.synchronize()

    def close(self) -> None:
        """Frees everything, see `Cuda`."""
        if self._stream is None:
            return
        with self.active():
            for allocation in self._allocations.values():
                allocation.free()
            self._allocations = {}
            self._stream = None
        self._context.detach()
