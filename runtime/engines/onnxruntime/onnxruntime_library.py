"""ONNX Runtime's library: found, asked for a provider, and given a graph; its failures as one line each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.engines.engine import first_line
from mvrec_edge.runtime.engines.optional_library import import_library
from mvrec_edge.runtime.errors import EnvironmentUnfitError, UsageError, dependency_error
from mvrec_edge.runtime.installing import install_libraries, replace_libraries
from mvrec_edge.runtime.jetson import OTHER_RUNTIME, read_release

__all__ = [
    "NO_CODE",
    "PROVIDERS",
    "RUNTIME_FOR_THE_GPU",
    "advice_on_gpu",
    "load_library",
    "open_graph",
    "why_not_loaded",
]

#: How a library that was built for other GPUs fails; its provider loads all the same.
NO_CODE = ("no kernel image is available", "cudaErrorNoKernelImageForDevice")
#: What to do about it on a PC.
RUNTIME_FOR_THE_GPU = "use --engine tensorrt, or install an onnxruntime-gpu that was built for this GPU"

#: Provider names on the command line, and what ONNX Runtime calls them.
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}


def load_library(provider: str) -> Any:
    """Imports ONNX Runtime, if it was built with a provider.

    Raises:
        UsageError: There is no such provider.
        MissingDependencyError: It is not installed.
        BrokenDependencyError: It does not load.
        EnvironmentUnfitError: This build lacks the provider.
    """
    if provider not in PROVIDERS:
        raise UsageError(f"ONNX Runtime has no provider '{provider}'", fix="one of " + ", ".join(PROVIDERS))
    try:
        onnxruntime = import_library("onnxruntime")
        available = onnxruntime.get_available_providers()
    except Exception as error:
        extra = "cpu" if provider == "cpu" else "gpu"
        raise dependency_error(error, "onnxruntime", extra=extra, purpose="the engine 'onnxruntime'") from error
    if PROVIDERS[provider] not in available:
        raise EnvironmentUnfitError(
            f"this build of ONNX Runtime ({onnxruntime.__version__}) has no {PROVIDERS[provider]}, it has "
            f"{', '.join(available)}",
            # On a Jetson the extra installs nothing.
            fix=OTHER_RUNTIME if read_release() else replace_libraries(("onnxruntime", "onnxruntime-gpu"), "gpu"),
        )
    return onnxruntime


def open_graph(library: Any, graph: Path, options: Any, providers: Sequence[Any]) -> Any:
    """Opens a graph, without ONNX Runtime's own fallback, which would print, and go on where nobody told it to.

    Args:
        library: What `load_library` gave.
        graph: The ONNX file.
        options: Its session's options.
        providers: What it may run on, the first one first.

    Raises:
        EnvironmentUnfitError: It cannot be loaded.
    """
    try:
        return library.InferenceSession(str(graph), options, providers=list(providers), enable_fallback=0)
    except Exception as error:
        on_gpu = PROVIDERS["cuda"] in library.get_available_providers()
        upgrade = install_libraries("onnxruntime-gpu" if on_gpu else "onnxruntime", option="--upgrade")
        if on_gpu and read_release():
            upgrade = OTHER_RUNTIME
        raise EnvironmentUnfitError(
            f"ONNX Runtime {library.__version__} cannot load the graph: {first_line(error)}",
            where=graph,
            fix=f"{upgrade}, or choose another --engine or --precision",
        ) from error


def advice_on_gpu(said: str) -> str:
    """What to do where a computation failed on the GPU.

    Args:
        said: What the library said.
    """
    if not any(words in said for words in NO_CODE):
        return "choose a smaller --batch, and see what else uses the GPU's memory"
    return OTHER_RUNTIME if read_release() else RUNTIME_FOR_THE_GPU


def why_not_loaded(library: Any, provider: str) -> str | None:
    """What the loader says about a provider's library, which ONNX Runtime only logs; None where it finds nothing."""
    import ctypes

    file = Path(library.__file__).parent / "capi" / f"libonnxruntime_providers_{provider}.so"
    try:
        ctypes.CDLL(str(file))
    except OSError as error:
        # It may only be loaded by ONNX Runtime itself, whose symbols it lacks here; that is no reason.
        if "undefined symbol" not in str(error):
            return first_line(error)
    return None
