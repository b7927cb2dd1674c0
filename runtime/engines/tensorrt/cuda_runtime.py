"""The few calls of the CUDA runtime that a TensorRT engine needs, on cuda-python or PyCUDA, whichever is installed."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CudaRuntime", "GpuModel"]


@dataclass(frozen=True)
class GpuModel:
    """What a plan depends on.

    Attributes:
        name: Such as `"Orin"`.
        capability: Compute capability, such as `"8.7"`.
    """

    name: str
    capability: str

    @property
    def title(self) -> str:
        """What a plan is for, in words."""
        return self.name


class CudaRuntime(ABC):
    """One GPU, one stream.

    Attributes:
        library: The Python library behind it.
        gpu: The GPU.
    """

    library: str = ""
    gpu: GpuModel

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
