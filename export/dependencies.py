"""Says in one line which libraries an export lacks, before any of its steps is taken."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from mvrec_edge.runtime.errors import MissingDependencyError

__all__ = ["require_export_libraries"]


def require_export_libraries(precisions: Sequence[str] = ()) -> None:
    """Raises where a library is missing that the export needs.

    Args:
        precisions: The graphs that are wanted; `"bf16"` is checked in OpenVINO, and `"int8"` is made by nncf. Both
            libraries are imported, so that one that does not load is said now as well.

    Raises:
        MissingDependencyError: The first library that is missing.
        BrokenDependencyError: OpenVINO or nncf is installed, and does not load.
    """
    for library in ("torch", "onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(library) is None:
            raise MissingDependencyError(library, extra="export", purpose="export")
    if "bf16" in precisions:
        from mvrec_edge.runtime.engines.openvino import load_openvino

        load_openvino("checking the bf16 graph")
    if "int8" in precisions:
        from mvrec_edge.export.precision.int8 import load_nncf

        load_nncf()
