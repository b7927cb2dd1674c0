"""Which Python library calls the CUDA runtime: cuda-python, or else PyCUDA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mvrec_edge.runtime.engines.engine import first_line
from mvrec_edge.runtime.engines.optional_library import import_library
from mvrec_edge.runtime.engines.tensorrt.cuda_driver import how_to_get_bindings, served_cuda
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import CudaRuntime
from mvrec_edge.runtime.engines.tensorrt.gpu_probe import first_gpu
from mvrec_edge.runtime.errors import EnvironmentUnfitError, MissingDependencyError
from mvrec_edge.runtime.jetson import read_release

__all__ = ["check_cuda", "open_cuda"]

# Of cuda-python, in two of its releases, and of PyCUDA.
_MODULES = ("cuda.bindings.runtime", "cuda.cudart", "pycuda.driver")


def open_cuda(engine: str = "tensorrt", *, say: Callable[[str], None] = lambda _: None) -> CudaRuntime:
    """Opens the first GPU with cuda-python, or else with PyCUDA.

    PyCUDA's turn comes as well where cuda-python is installed and cannot run, as a release for CUDA 13 cannot on a
    driver for CUDA 12.

    Args:
        engine: The engine that needs it, as a message names it.
        say: Told where PyCUDA serves in place of a cuda-python that cannot run.

    Raises:
        MissingDependencyError: Neither is installed.
        EnvironmentUnfitError: There is no GPU, or its driver does not fit.
    """
    first: EnvironmentUnfitError | None = None
    for open_one in (_open_cuda_python, _open_pycuda):
        try:
            cuda = open_one()
        except EnvironmentUnfitError as error:
            first = first or error
            continue
        if cuda is not None:
            if first is not None:
                say(f"{first.what}; PyCUDA is used in its place, without CUDA graphs ({first.fix})")
            return cuda
    if first is not None:
        raise first
    raise MissingDependencyError(
        "cuda-python or pycuda",
        extra="tensorrt",
        purpose=f"the engine '{engine}'",
        fix=how_to_get_bindings(served_cuda(), read_release()),
    )


def check_cuda(engine: str) -> None:
    """Raises what `open_cuda` would raise where there is no GPU, or no library that calls CUDA.

    Where both are there, no context is made, so that no GPU memory is taken.

    Args:
        engine: The engine that needs it, as a message names it.

    Raises:
        MissingDependencyError: Neither cuda-python nor PyCUDA is installed.
        EnvironmentUnfitError: There is no GPU, or what calls CUDA does not load.
    """
    if first_gpu() is None or not any(map(_loads, _MODULES)):
        open_cuda(engine).close()


def _loads(name: str) -> bool:
    try:
        return _installed(name, name) is not None
    except EnvironmentUnfitError:
        return False


def _open_cuda_python() -> CudaRuntime | None:
    """CUDA through cuda-python; None where it is not installed."""
    from mvrec_edge.runtime.engines.tensorrt.on_cuda_python import OnCudaPython

    # The module of runtime calls moved within cuda-python. Other libraries bring a package `cuda` without it.
    runtime = _installed(_MODULES[0], "cuda-python") or _installed(_MODULES[1], "cuda-python")
    return None if runtime is None else OnCudaPython(runtime)


def _open_pycuda() -> CudaRuntime | None:
    """CUDA through PyCUDA; None where it is not installed."""
    from mvrec_edge.runtime.engines.tensorrt.on_pycuda import OnPyCuda

    driver = _installed(_MODULES[2], "PyCUDA")
    return None if driver is None else OnPyCuda(driver)


def _installed(name: str, title: str) -> Any:
    """A module; None where it, or a package it is in, is not there.

    Raises:
        EnvironmentUnfitError: It is there and does not load.
    """
    parts = name.split(".")
    packages = [".".join(parts[: count + 1]) for count in range(len(parts))]
    try:
        return import_library(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name in packages:
            return None
        raise EnvironmentUnfitError(
            f"{title} is installed but does not load: {first_line(error)}", fix="run 'mvrec-edge doctor'"
        ) from error
