"""Which CUDA the driver serves, and which cuda-python fits it; asked of the driver itself, without a CUDA library."""

from __future__ import annotations

import ctypes
import platform

from mvrec_edge.runtime.installing import install_extra, install_libraries
from mvrec_edge.runtime.jetson import JetsonRelease

__all__ = [
    "LIBCUDA",
    "advice_for_driver",
    "fitting_cuda_python",
    "how_to_get_bindings",
    "how_to_get_tensorrt",
    "served_cuda",
    "split_version",
]

#: The driver's library; it comes with the driver, not with CUDA.
LIBCUDA = "libcuda.so.1"

# The oldest CUDA for which this package knows a cuda-python, and the one for which the driver 580 is needed.
_OLDEST, _NEWER = 12, 13


def served_cuda(library: str = LIBCUDA) -> tuple[int, int] | None:
    """The newest CUDA version that the driver serves, such as `(12, 4)`; None without a driver that says.

    Args:
        library: The library's name or path.
    """
    number = ctypes.c_int()
    try:
        if ctypes.CDLL(library).cuDriverGetVersion(ctypes.byref(number)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return split_version(number.value)


def split_version(number: int) -> tuple[int, int] | None:
    """CUDA's own number of a version, such as 12040, as `(12, 4)`; None for 0, which stands for no driver."""
    return (number // 1000, number % 1000 // 10) if number > 0 else None


def fitting_cuda_python(served: tuple[int, int] | None) -> str | None:
    """The cuda-python that a driver serves, as pip takes it; None where it is too old for any, or says nothing."""
    if served is None or served[0] < _OLDEST:
        return None
    return "cuda-python>=13,<14" if served[0] >= _NEWER else "cuda-python>=12.6,<13"


def how_to_get_bindings(served: tuple[int, int] | None, release: JetsonRelease | None) -> str:
    """How to install the CUDA bindings that fit.

    Args:
        served: The newest CUDA that the driver serves; None where it does not say.
        release: What runs on the board; None on a machine that is no Jetson.
    """
    by_board = None if release is None else release.bindings
    if by_board is not None:
        return by_board
    return install_libraries("cuda-python") if served is None else advice_for_driver(served)


def how_to_get_tensorrt(served: tuple[int, int] | None) -> str:
    """How to install TensorRT on a machine that is no Jetson, in the release that the driver serves."""
    name = "tensorrt-cu12" if served is not None and served[0] < _NEWER else "tensorrt"
    # The extras name it for x86 alone, so that nobody installs it on a Jetson; an Arm server takes the package itself.
    return install_extra(name) if platform.machine() == "x86_64" else install_libraries(name)


def advice_for_driver(served: tuple[int, int] | None) -> str:
    """What to install for a driver, where the installed cuda-python is for a newer CUDA than it serves."""
    if served is None:
        return "install NVIDIA's driver, and start the computer again"
    requirement = fitting_cuda_python(served)
    if requirement is None:
        return f"install a newer driver: this one serves CUDA {served[0]}.{served[1]}, and {_OLDEST} is needed"
    return install_libraries(requirement)
