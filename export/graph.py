"""Traces the encoder into an ONNX graph."""

from __future__ import annotations

import collections
import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxscript.optimizer
import torch
from onnx import helper, numpy_helper

from mvrec_edge.export.graph_file import save_graph
from mvrec_edge.export.views_encoder import ViewsModule
from mvrec_edge.runtime.errors import EnvironmentUnfitError
from mvrec_edge.runtime.installing import install_extra

__all__ = ["OPSET", "trace_graph"]

#: Old enough for every ONNX Runtime and TensorRT in use on JetPack 6, new enough for LayerNormalization.
OPSET = 18

# Elements of the largest weight that is sliced or transposed while tracing; far above those of any encoder.
_LARGEST_FOLD = 1 << 28


def trace_graph(module: ViewsModule, path: Path) -> None:
    """Traces a module into an ONNX graph with a dynamic number of views, its weights in a file beside it.

    The graph has the input `views`, uint8 `[N, S, S, 4]`, and the output `embedding`, float32 `[N, C]`. It holds no
    names of the machine it was made on, so that the same weights give the same bytes.

    The projection of queries, keys and values is one product that is then split. Three products, one five-axis
    tensor, and two-dimensional Gemm nodes were tried: ONNX Runtime takes the same time for all of them, and this
    graph has the fewest nodes.

    Args:
        module: The encoder.
        path: The ONNX file to write; see `save_graph`.

    Raises:
        EnvironmentUnfitError: The installed PyTorch and onnxscript cannot trace the encoder.
        OutputError: The file cannot be written.
    """
    model = _traced(module)
    _read_the_count_after_the_cast(model.graph)
    _pad_within_convolutions(model.graph)
    _strip(model)
    save_graph(model, path)


def _traced(module: ViewsModule) -> onnx.ModelProto:
    """The graph as the exporter leaves it; the exporter's own copies of the weights are let go on return."""
    size = module.architecture.image_size
    # Two views: a dimension of one would be taken for a constant.
    example = torch.zeros((2, size, size, 4), dtype=torch.uint8)
    try:
        with _silenced():
            program = torch.onnx.export(
                module,
                (example,),
                input_names=["views"],
                output_names=["embedding"],
                dynamic_shapes={"views": {0: torch.export.Dim("N", min=1, max=4096)}},
                opset_version=OPSET,
                dynamo=True,
                optimize=True,
                external_data=False,
                verbose=False,
            )
            if program is None:
                raise RuntimeError("the exporter returned nothing")
            # By default large tensors are not folded, and the last block's weights would be cut apart at every load.
            onnxscript.optimizer.optimize_ir(
                program.model,
                onnx_shape_inference=False,
                input_size_limit=_LARGEST_FOLD,
                output_size_limit=_LARGEST_FOLD,
            )
            return program.model_proto
    # The exporter has no error type of its own to catch, and its texts run over pages.
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0][:120]
        raise EnvironmentUnfitError(
            f"PyTorch {torch.__version__} cannot trace the encoder: {type(error).__name__}: {first}",
            fix=f"get the versions that the extra 'export' names, and report this: {install_extra('export')}",
        ) from error


def _read_the_count_after_the_cast(graph: onnx.GraphProto) -> None:
    """Lets nothing but a cast read the uint8 input, which is all that TensorRT allows."""
    (cast,) = (node for node in graph.node if node.op_type == "Cast" and node.input[0] == "views")
    others = [node for node in graph.node if node is not cast]
    for node in others:
        for place, name in enumerate(node.input):
            if name == "views":
                node.input[place] = cast.output[0]
    ordered = [cast, *others]
    # Copied out before the field is emptied, which would take the nodes along.
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(copies)


def _pad_within_convolutions(graph: onnx.GraphProto) -> None:
    """Lets a convolution pad by itself, where PyTorch writes unequal borders as an operator of its own before it."""
    pads = {node.output[0]: node for node in graph.node if node.op_type == "Pad"}
    # Of these alone: a copy of all weights would take their memory once more.
    named = {name for pad in pads.values() for name in pad.input[1:]}
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer if item.name in named}
    readers = collections.Counter(name for node in graph.node for name in node.input)
    gone: set[str] = set()
    for node in graph.node:
        pad = pads.get(node.input[0]) if node.op_type == "Conv" else None
        if pad is None or readers[pad.output[0]] > 1 or any(constants.get(name, 0) != 0 for name in pad.input[2:3]):
            continue
        # The borders of number and channel, which nobody pads, are left out.
        before, after = np.split(constants[pad.input[1]].reshape(2, -1)[:, 2:], 2)
        others = [item for item in node.attribute if item.name not in ("pads", "auto_pad")]
        del node.attribute[:]
        node.attribute.extend([*others, helper.make_attribute("pads", [*before[0].tolist(), *after[0].tolist()])])
        node.input[0] = pad.input[0]
        gone.add(pad.output[0])
    if gone:
        kept = [node for node in graph.node if node.output[0] not in gone]
        # Copied out before the field is emptied, which would take the nodes along.
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
        del graph.node[:]
        graph.node.extend(copies)


def _strip(model: onnx.ModelProto) -> None:
    """Takes out what concerns only the exporter: stack traces with local paths, notes, versions."""
    model.producer_version = ""
    model.doc_string = ""
    model.ClearField("metadata_props")
    graph = model.graph
    graph.doc_string = ""
    graph.ClearField("metadata_props")
    graph.ClearField("value_info")
    for item in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        item.doc_string = ""
        item.ClearField("metadata_props")


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keeps the exporter's chatter off the terminal; what matters is checked afterwards."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
