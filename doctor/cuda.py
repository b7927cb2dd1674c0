"""What the CUDA driver itself says. On Jetsons, where `nvidia-smi` knows little, it is the one to ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mvrec_edge.doctor.child import probe
from mvrec_edge.runtime.engines.tensorrt.cuda_driver import LIBCUDA

__all__ = ["CudaDevice", "CudaDriver", "ask_cuda"]

# A driver whose GPU has fallen off the bus waits for a long time.
_TIMEOUT = 30.0


@dataclass(frozen=True)
class CudaDevice:
    """A GPU that the CUDA driver offers.

    Attributes:
        name: Its name.
        compute_capability: Such as `"8.7"`.
        memory_total: Bytes; on a Jetson it shares them with the processor.
    """

    name: str
    compute_capability: str
    memory_total: int


@dataclass(frozen=True)
class CudaDriver:
    """The CUDA driver library `libcuda`.

    Attributes:
        installed: Whether the library is there.
        version: Newest CUDA version it serves, such as `"12.6"`; None where it does not say.
        devices: The GPUs it offers.
        failure: Why it offers none; None where it works or is not installed.
    """

    installed: bool = False
    version: str | None = None
    devices: tuple[CudaDevice, ...] = ()
    failure: str | None = None

    @property
    def served(self) -> tuple[int, int] | None:
        """The version as numbers, such as `(12, 6)`."""
        major, _, minor = (self.version or "").partition(".")
        return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def ask_cuda(path: Sequence[str] | None = None, *, library: str = LIBCUDA) -> CudaDriver:
    """Loads `libcuda` in a process of its own and asks it.

    Args:
        path: Where that process looks for modules, instead of `sys.path`.
        library: The library's name or path.
    """
    answer = probe("cuda-driver", path=path, timeout=_TIMEOUT, library=library)
    if library in answer.missing_libraries:
        return CudaDriver()
    devices = tuple(CudaDevice(**device) for device in answer.values.get("devices", []))
    return CudaDriver(True, answer.values.get("version"), devices, answer.failure)
