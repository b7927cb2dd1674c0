"""Which GPU this machine has, asked of the driver alone: no context is made, so no GPU memory is taken."""

from __future__ import annotations

import ctypes

from mvrec_edge.runtime.engines.tensorrt.cuda_driver import LIBCUDA
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel

__all__ = ["first_gpu"]

_COMPUTE_MAJOR, _COMPUTE_MINOR = 75, 76
_LONGEST_NAME = 256


def first_gpu(library: str = LIBCUDA) -> GpuModel | None:
    """The GPU that an engine would take; None where the driver is missing, does not start, or offers none.

    Args:
        library: Name or path of the driver's library.
    """
    try:
        driver = ctypes.CDLL(library)
        device, name = ctypes.c_int(), ctypes.create_string_buffer(_LONGEST_NAME)
        numbers = [ctypes.c_int(), ctypes.c_int()]
        answers = [
            driver.cuInit(0),
            driver.cuDeviceGet(ctypes.byref(device), 0),
            driver.cuDeviceGetName(name, _LONGEST_NAME, device),
            *(
                driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
                for number, attribute in zip(numbers, (_COMPUTE_MAJOR, _COMPUTE_MINOR), strict=True)
            ),
        ]
    except (OSError, AttributeError):
        return None
    if any(answers):
        return None
    return GpuModel(name.value.decode(errors="replace"), ".".join(str(number.value) for number in numbers))
