"""What passes memory between Python and CUDA for the plans: cuda-python, or else PyCUDA, tried on the GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mvrec_edge.doctor.child import is_absent, probe

__all__ = ["Bindings", "examine_bindings"]

#: In the order in which the engine takes them; the module of cuda-python moved between its releases.
_MODULES = {"cuda-python": ("cuda.bindings.runtime", "cuda.cudart"), "pycuda": ("pycuda.driver",)}


@dataclass(frozen=True)
class Bindings:
    """What an engine that runs plans has to call CUDA with.

    Attributes:
        library: The library that works on this machine's GPU; None where none does.
        failure: Why one that is installed does not; None where there is no such.
    """

    library: str | None = None
    failure: str | None = None


def examine_bindings(path: Sequence[str] | None = None) -> Bindings:
    """Takes the first GPU with each library in turn, in a process of its own, as an engine does.

    To load them is not enough: a cuda-python for CUDA 13 loads beside a driver for CUDA 12, and fails at its first
    call.

    Args:
        path: Where they are looked for, instead of `sys.path`.
    """
    failure = None
    for library, modules in _MODULES.items():
        for module in modules:
            answer = probe("bindings", path=path, module=module)
            if answer.failure is None:
                return Bindings(library, failure)
            if not is_absent(module, answer):
                failure = failure or f"{library} does not work on this machine: {answer.failure}"
                break
    return Bindings(None, failure)
