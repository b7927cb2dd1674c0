"""Says in one line which libraries an export lacks, before any of its steps is taken."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from mvrec_edge.runtime.engines.optional_library import import_library
from mvrec_edge.runtime.errors import MissingDependencyError, dependency_error

__all__ = ["require_export_libraries"]

_LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime")


def require_export_libraries(precisions: Sequence[str] | None = None) -> None:
    """Raises where a library is missing that the export needs, or does not load.

    Args:
        precisions: The graphs that are wanted; `"bf16"` is checked in OpenVINO, and `"int8"` is made by nncf. By
            default none, where only the encoder runs in PyTorch: no other library is loaded then, for its time and
            memory.

    Raises:
        MissingDependencyError: The first library that is missing.
        BrokenDependencyError: One is installed, and does not load.
    """
    # What is missing is said before anything is loaded, which takes seconds.
    for library in _LIBRARIES:
        if importlib.util.find_spec(library) is None:
            raise MissingDependencyError(library, extra="export", purpose="export")
    for library in _LIBRARIES[:1] if precisions is None else _LIBRARIES:
        try:
            # Of what an interrupted install left behind, the first thing that is asked for is missing.
            _ = import_library(library).__version__
        except Exception as error:
            raise dependency_error(error, library, extra="export", purpose="export") from error
    if "bf16" in (precisions or ()):
        from mvrec_edge.runtime.engines.openvino import load_openvino

        load_openvino("checking the bf16 graph")
    if "int8" in (precisions or ()):
        from mvrec_edge.export.precision.int8 import load_nncf

        load_nncf()
