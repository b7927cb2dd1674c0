"""Int8 by post-training quantisation of the float32 graph.

NNCF does it: with its transformer preset it moves the outliers of activations into the weights (SmoothQuant, Xiao et
al. 2023) before it measures ranges, quantises weights per channel and activations per tensor, and corrects the bias
that rounding leaves. A convolutional network goes without the preset. What comes out is standard QuantizeLinear and
DequantizeLinear nodes, which ONNX Runtime, OpenVINO and TensorRT read alike.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from mvrec_edge.export.graph_file import load_graph, save_graph
from mvrec_edge.export.precision.projections import separate_projections
from mvrec_edge.runtime.engines.optional_library import import_library
from mvrec_edge.runtime.errors import EnvironmentUnfitError, dependency_error
from mvrec_edge.runtime.installing import install_extra

__all__ = ["MOST_CALIBRATION_VIEWS", "quantise"]

#: Ranges change little after this many views, and each of them is encoded several times over.
MOST_CALIBRATION_VIEWS = 96


def quantise(
    source: Path,
    target: Path,
    views: npt.NDArray[np.uint8],
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Writes an int8 graph.

    The first convolution and what gives the embedding stay float32: they are a few percent of the work, pixels of 0 to
    255 have no range to calibrate, and nothing comes after the embedding that could correct it.

    Args:
        source: The float32 graph.
        target: The ONNX file to write; its weights go beside it.
        views: uint8 `[N, S, S, 4]` to measure ranges on; at most `MOST_CALIBRATION_VIEWS` of them, spread evenly, are
            used.
        progress: Called with 1 for every view that goes through; each goes through several times.

    Raises:
        MissingDependencyError: NNCF is not installed.
        EnvironmentUnfitError: NNCF cannot quantise the graph.
        OutputError: The file cannot be written.
    """
    nncf = load_nncf()
    kept = np.unique(np.linspace(0, len(views) - 1, min(len(views), MOST_CALIBRATION_VIEWS)).round().astype(int))

    def feed(index: int) -> dict[str, npt.NDArray[np.uint8]]:
        progress(1)
        return {"views": views[index : index + 1]}

    model = load_graph(source)
    separate_projections(model)
    convolutional = sum(node.op_type == "Conv" for node in model.graph.node) > 1
    apart = _before_and_after_convolutions(model.graph) if convolutional else _around_blocks(model.graph)
    try:
        with _silenced():
            quantised = nncf.quantize(
                model,
                nncf.Dataset([int(index) for index in kept], feed),
                model_type=None if convolutional else nncf.ModelType.TRANSFORMER,
                # Symmetric ranges: TensorRT has no zero points. They cost no accuracy and no time here.
                preset=nncf.QuantizationPreset.PERFORMANCE,
                subset_size=len(kept),
                ignored_scope=nncf.IgnoredScope(names=apart),
            )
    # NNCF raises whatever the step it is in raises.
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0][:160]
        raise EnvironmentUnfitError(
            f"NNCF {nncf.__version__} cannot quantise the graph: {type(error).__name__}: {first}",
            fix=f"leave int8 out, or get the versions that the extra 'int8' names: {install_extra('int8')}",
        ) from error
    _strip(quantised)
    save_graph(quantised, target)


def _around_blocks(graph: onnx.GraphProto) -> list[str]:
    """The nodes of a transformer that embed patches and project the class token."""
    outputs = {item.name for item in graph.output}
    return [node.name for node in graph.node if node.op_type == "Conv" or outputs & set(node.output)]


def _before_and_after_convolutions(graph: onnx.GraphProto) -> list[str]:
    """The nodes of a convolutional network up to the first convolution, and those that average the last feature map."""
    first = next(place for place, node in enumerate(graph.node) if node.op_type == "Conv")
    inner = {"Conv", "Add", "Clip"}
    last = max(place for place, node in enumerate(graph.node) if node.op_type in {"Conv", "Clip"})
    return [
        node.name
        for place, node in enumerate(graph.node)
        if place <= first or place > last or node.op_type not in inner
    ]


def _strip(model: onnx.ModelProto) -> None:
    """Takes out what concerns only the quantiser, such as its version and settings."""
    model.producer_version = ""
    model.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    used = {name for node in model.graph.node for name in node.input}
    kept = [item for item in model.graph.initializer if item.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def load_nncf() -> Any:
    """Imports the library that quantises.

    Raises:
        MissingDependencyError: It is not installed.
        BrokenDependencyError: It does not load.
    """
    try:
        with _silenced():
            nncf = import_library("nncf")
            import_library("nncf.onnx")
    except Exception as error:
        raise dependency_error(error, "nncf", extra="int8", purpose="quantising to int8") from error
    return nncf


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keeps the quantiser's own bars and notes off the terminal; what matters is checked afterwards."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
