"""The same two charts as a PNG, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mvrec_edge.bench.charts import COLOURS, curves
from mvrec_edge.calib.plotting import new_figure
from mvrec_edge.runtime.files import atomic_write

__all__ = ["PURPOSE", "write_png"]

#: What matplotlib is wanted for.
PURPOSE = "a plot as PNG"

_LINES = ("-", "--", ":", "-.")


def write_png(record: Mapping[str, Any], path: Path) -> None:
    """Draws latency and throughput over batch size.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    figure = new_figure(11, 4.4, PURPOSE)
    figure.suptitle(f"{record['bundle']['name']}: {record['bundle']['architecture']} on {record['machine']['cpu']}")
    left, right = figure.subplots(1, 2)
    drawn = curves(record)
    for number, curve in enumerate(drawn):
        colour, line = COLOURS[number % len(COLOURS)], _LINES[number // len(COLOURS) % len(_LINES)]
        left.plot(curve.batches, curve.latency, line, color=colour, marker="o", label=curve.name)
        right.plot(curve.batches, curve.throughput, line, color=colour, marker="o", label=curve.name)
    batches = sorted({batch for curve in drawn for batch in curve.batches})
    for axes, label in ((left, "latency of a batch, median, ms"), (right, "throughput, views/s")):
        axes.set(xscale="log", yscale="log", xlabel="views in a batch", ylabel=label)
        axes.set_xticks(batches, [str(batch) for batch in batches])
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.3)
    right.legend(fontsize="small")
    with atomic_write(path) as stream:
        figure.savefig(stream, dpi=120, format="png")
