"""Says in one line which libraries the export stage lacks, before any of its modules is imported."""

from __future__ import annotations

import importlib.util

from mvrec_edge.runtime.errors import MissingDependencyError

__all__ = ["require_export_libraries"]


def require_export_libraries() -> None:
    """Raises where a library of the extra `export` is not installed.

    Raises:
        MissingDependencyError: The first library that is missing.
    """
    for library in ("torch", "onnx", "onnxscript", "onnxruntime"):
        if importlib.util.find_spec(library) is None:
            raise MissingDependencyError(library, extra="export", purpose="export")
