"""Graphs that cut views and encode them: the cutting before an encoder, over the same weights."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import helper

from mvrec_edge.export.cutting_graph import CuttingNodes, cutting_nodes
from mvrec_edge.export.graph_file import load_outline, save_outline
from mvrec_edge.runtime.bundle import VIEWS_TARGETS, GraphRecord

__all__ = ["cutting_model", "joined_targets", "write_joined"]

_INPUT = "views"


def joined_targets(record: GraphRecord) -> list[tuple[str, str]]:
    """Which graphs that cut views a precision gets: the target of each, and the file that it is made from.

    None for bf16, which is for CPUs: there, `crop_views` is many times as fast.
    """
    if record.precision == "bf16":
        return []
    standard, fused = VIEWS_TARGETS
    found = [(standard, record.file)]
    on_cuda = record.variant("onnxruntime-cuda")
    return found if on_cuda is None else [*found, (fused, on_cuda.file)]


def write_joined(graph: Path, path: Path, size: int) -> None:
    """Writes the graph that cuts views and encodes them, beside the one that encodes them.

    Args:
        graph: The graph with the input `views`, whose weights lie in a file that both name.
        path: The ONNX file to write, in the same folder.
        size: Side S of a view in pixels.

    Raises:
        EnvironmentUnfitError: Views so small cannot be cut in a graph.
        OutputError: It cannot be written.
    """
    model = load_outline(graph)
    cutting = cutting_nodes(size)
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == _INPUT:
                node.input[place] = cutting.views
    _put_before(model.graph, cutting)
    save_outline(model, path)


def cutting_model(size: int, opset: int) -> onnx.ModelProto:
    """A graph that only cuts views: the inputs of `PatchBatch`, the output `cut_views`.

    Args:
        size: Side S of a view in pixels.
        opset: Version of the operators.

    Raises:
        EnvironmentUnfitError: Views so small cannot be cut in a graph.
    """
    graph = onnx.GraphProto(name="cutting")
    _put_before(graph, cutting_nodes(size))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def _put_before(graph: onnx.GraphProto, cutting: CuttingNodes) -> None:
    # Copied out before the field is emptied, which would take the nodes along.
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    del graph.node[:], graph.input[:]
    graph.node.extend([*cutting.nodes, *nodes])
    graph.input.extend(cutting.inputs)
    graph.initializer.extend(cutting.constants)
    graph.output.append(cutting.output)
