"""Which precisions get a further graph, for which engine, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.export.fusion.cpu_int8 import fuse_products
from mvrec_edge.export.fusion.cuda_half import fuse_attention
from mvrec_edge.export.graph_file import load_outline, save_outline

__all__ = ["FUSED_PRECISIONS", "FusedGraph", "write_fused"]

_FUSIONS = {
    "int8": ("onnxruntime-x86", fuse_products, "fused products"),
    "fp16": ("onnxruntime-cuda", fuse_attention, "fused attentions"),
}

#: The precisions of which there is a graph with fused operators.
FUSED_PRECISIONS = frozenset(_FUSIONS)


@dataclass(frozen=True)
class FusedGraph:
    """A further graph over the weights of another.

    Attributes:
        path: The ONNX file.
        target: Which engine takes it, and on what; see `VARIANT_TARGETS`.
        summary: What is fused in it.
    """

    path: Path
    target: str
    summary: str


def write_fused(graph: Path, precision: str) -> FusedGraph | None:
    """Writes the graph with fused operators beside the one it is made from.

    Args:
        graph: The graph of standard operators, whose weights lie beside it.
        precision: Its precision.

    Returns:
        What was written; None where this precision has none, or nothing in the graph can be fused.

    Raises:
        OutputError: It cannot be written.
    """
    if precision not in _FUSIONS:
        return None
    target, fuse, words = _FUSIONS[precision]
    model = load_outline(graph)
    count = fuse(model, graph.parent)
    if not count:
        return None
    path = graph.with_suffix(f".{target}.onnx")
    save_outline(model, path)
    return FusedGraph(path, target, f"{count} {words}")
