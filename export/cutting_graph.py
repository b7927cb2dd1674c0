"""The exact resampling as nodes of a graph: from patches and windows to views.

Standard operators alone, those that TensorRT has as well, and no shape that is computed: a shape that is known only on
the device would keep launches from being captured. A pass is one product with banded matrices, which are looked up
from the weights and first samples that go in, and gives the sums of both parts of the weights
(`runtime/views/patches.py`). All is float32, and every value in it is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from mvrec_edge.runtime.errors import EnvironmentUnfitError
from mvrec_edge.runtime.views.patches import PATCH_INPUTS, TAPS, UPPER_STEP, sums_are_exact, weight_parts
from mvrec_edge.runtime.views.resample import INTERMEDIATE

__all__ = ["CUT_VIEWS", "CuttingNodes", "cutting_nodes"]

#: The output that holds the views as they were cut, uint8 `[N, S, S, 4]`.
CUT_VIEWS = "cut_views"

_PREFIX = "cut/"

_TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT, "int32": TensorProto.INT32}


class CuttingNodes:
    """The nodes that cut views of one size.

    Attributes:
        nodes: In order.
        constants: What they need.
        inputs: The graph's inputs, which are the fields of `PatchBatch`.
        output: `CUT_VIEWS` as an output of the graph.
        views: The name of the views as float32 `[N, S, S, 4]`.
    """

    def __init__(self, size: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs = [helper.make_tensor_value_info(name, _TYPES[kind], shape) for name, kind, shape in PATCH_INPUTS]
        self.output = helper.make_tensor_value_info(CUT_VIEWS, TensorProto.UINT8, ("N", size, size, 4))
        self.views = ""

    def make(self, operator: str, *inputs: str, count: int = 1, **attributes: Any) -> str:
        """Adds a node.

        Returns:
            The name of what it makes; of the first of `count` values, whose others end in `.1`, `.2`, ...
        """
        name = f"{_PREFIX}{len(self.nodes)}"
        outputs = [name, *(f"{name}.{place}" for place in range(1, count))]
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return name

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Adds a constant, and returns its name."""
        array = np.asarray(value, dtype)
        for known in self.constants:
            other = numpy_helper.to_array(known)
            if other.dtype == array.dtype and other.shape == array.shape and np.array_equal(other, array):
                return known.name
        name = f"{_PREFIX}constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def axes(self, *places: int) -> str:
        """The axes of an `Unsqueeze`."""
        return self.constant(places, np.int64)

    def shaped(self, value: str, *shape: int) -> str:
        """A value in another shape: 0 keeps a length, -1 is what is left."""
        return self.make("Reshape", value, self.constant(shape, np.int64))

    def number(self, value: str) -> str:
        """A value as float32."""
        return self.make("Cast", value, to=TensorProto.FLOAT)


def cutting_nodes(size: int) -> CuttingNodes:
    """Writes the nodes that cut views.

    Args:
        size: Side S of a view in pixels.

    Returns:
        The nodes; see `CuttingNodes`.

    Raises:
        EnvironmentUnfitError: Views so small need sums that float32 does not hold.
    """
    first, weights = weight_parts(INTERMEDIATE, size)
    if not sums_are_exact(weights):
        raise EnvironmentUnfitError(
            f"views of {size} x {size} pixels cannot be cut in a graph: their sums are no longer exact",
            fix="leave out --views-in-graph",
        )
    graph = CuttingNodes(size)
    # Nothing but a cast may read what is uint8.
    patches = graph.make("Gather", graph.number("patches"), "column_patch", axis=0)
    # Columns of each distinct place: [U, 4 H, W] times [U, W, 1024].
    starts = graph.make("Unsqueeze", graph.number("column_starts"), graph.axes(1))
    positions = graph.make("Unsqueeze", "columns", graph.axes(0, 2))
    lines = graph.make("Unsqueeze", graph.number("column_taps"), graph.axes(1, 2))
    band = _band(graph, positions, starts, lines, "taps", (INTERMEDIATE, TAPS + 2), axis=2)
    columns = _rounded(graph, graph.make("MatMul", patches, band), INTERMEDIATE, axis=2)
    columns = graph.shaped(columns, 0, -1, 4 * INTERMEDIATE)
    # Rows of each view: [N, 1024, H] times [N, H, 4 * 512].
    starts = graph.make("Unsqueeze", graph.number("view_starts"), graph.axes(2))
    positions = graph.make("Unsqueeze", "rows", graph.axes(0, 1))
    lines = graph.make("Unsqueeze", graph.number("view_taps"), graph.axes(1, 2))
    band = _band(graph, positions, starts, lines, "taps", (INTERMEDIATE, TAPS + 2), axis=1)
    views = graph.make("MatMul", band, graph.make("Gather", columns, "view_column", axis=0))
    views = graph.shaped(_rounded(graph, views, INTERMEDIATE, axis=1), 0, 4 * INTERMEDIATE, INTERMEDIATE)
    # From 512 to S, the columns and the rows, by the same matrix for all.
    taps, every = graph.constant(weights), graph.constant(np.arange(INTERMEDIATE))
    samples, shape = first.astype(np.float32), weights.shape[1:]
    positions = graph.make("Unsqueeze", every, graph.axes(1))
    band = _band(graph, positions, graph.constant(samples[None, :]), "", taps, shape, axis=1)
    views = _rounded(graph, graph.make("MatMul", views, band), size, axis=2)
    views = graph.shaped(views, 0, INTERMEDIATE, 4 * size)
    positions = graph.make("Unsqueeze", every, graph.axes(0))
    band = _band(graph, positions, graph.constant(samples[:, None]), "", taps, shape, axis=0)
    views = _rounded(graph, graph.make("MatMul", band, views), size, axis=1)
    graph.views = graph.make("Transpose", graph.shaped(views, 0, size, 4, size), perm=(0, 1, 3, 2))
    graph.nodes.append(helper.make_node("Cast", [graph.views], [CUT_VIEWS], name=f"make_{CUT_VIEWS}", to=2))
    return graph


def _band(
    graph: CuttingNodes, positions: str, starts: str, lines: str, taps: str, shape: Sequence[int], *, axis: int
) -> str:
    """Banded matrices of the upper parts of weights, and behind them, along `axis`, of the lower parts.

    Args:
        graph: Where nodes are added.
        positions: float32, the input samples; 1 along `axis`.
        starts: float32, the first input sample of each output sample, which are along `axis`.
        lines: float32, which of `taps` each matrix takes; empty where there is one alone.
        taps: The weights: the upper parts of the samples, `shape` in all, then the lower ones; both of them for each
            of `lines`.
        shape: Samples, and the length of a line of weights with a zero before and behind.
        axis: That of the output samples.
    """
    samples, length = shape
    # Each line is found by its number and a place in it; what lies before or behind a sample's weights is the zero.
    place = graph.make("Sub", positions, starts)
    place = graph.make("Clip", place, graph.constant(-1), graph.constant(length - 2))
    rank = 2 if not lines else 3
    along = [1] * rank
    along[axis] = samples
    begin = graph.constant((np.arange(samples) * length + 1).reshape(along))
    if lines:
        begin = graph.make("Add", graph.make("Mul", lines, graph.constant(2 * samples * length)), begin)
    upper = graph.make("Add", place, begin)
    lower = graph.make("Add", upper, graph.constant(samples * length))
    places = graph.make("Cast", graph.make("Concat", upper, lower, axis=axis), to=TensorProto.INT32)
    return graph.make("Gather", graph.shaped(taps, -1), places, axis=0)


def _rounded(graph: CuttingNodes, sums: str, samples: int, *, axis: int) -> str:
    """From the sums of both parts, one behind the other along `axis`, to values of 8 bits, as float32."""
    upper = graph.make("Split", sums, graph.constant((samples, samples), np.int64), count=2, axis=axis)
    lower = graph.make("Mul", graph.make("Floor", f"{upper}.1"), graph.constant(UPPER_STEP))
    value = graph.make("Add", graph.make("Add", upper, lower), graph.constant(0.5))
    return graph.make("Clip", graph.make("Floor", value), graph.constant(0), graph.constant(255))
