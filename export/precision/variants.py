"""From the float32 graph to that of another precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvrec_edge.export.graph_file import load_graph, save_graph
from mvrec_edge.export.precision.int8 import quantise
from mvrec_edge.export.precision.projections import separate_projections
from mvrec_edge.export.precision.typed import NARROW_TYPES, narrow_products

__all__ = ["write_variant"]


def write_variant(
    precision: str,
    source: Path,
    target: Path,
    views: npt.NDArray[np.uint8],
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Writes the graph of one precision.

    Args:
        precision: `"fp16"`, `"bf16"` or `"int8"`.
        source: The float32 graph.
        target: The ONNX file to write; its weights go beside it.
        views: uint8 `[N, S, S, 4]`, what int8 ranges are measured on.
        progress: Called with a number of views as they are done.

    Raises:
        EnvironmentUnfitError: The graph cannot be had in this precision.
        MissingDependencyError: What writes it is not installed.
        OutputError: The file cannot be written.
    """
    if precision not in NARROW_TYPES:
        quantise(source, target, views, progress)
        return
    model = load_graph(source)
    if precision == "bf16":
        separate_projections(model)
    narrow_products(model, precision)
    save_graph(model, target)
