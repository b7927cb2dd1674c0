"""The same two charts as a PNG, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvrec_edge.bench.chart_axis import ticks
from mvrec_edge.bench.charts import COLOURS, Chart, charts, figure_text
from mvrec_edge.calib.plotting import new_figure
from mvrec_edge.runtime.files import atomic_write
from mvrec_edge.runtime.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PURPOSE", "write_png"]

#: What matplotlib is wanted for.
PURPOSE = "a plot as PNG"

_LINES = ("-", "--", ":", "-.")


def write_png(record: Mapping[str, Any], path: Path) -> None:
    """Draws the time of a defect and the defects per second, as `write_html` does.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    drawn = charts(record)
    batch = drawn[0].single
    # A bar and its figure take a third of an inch.
    figure = new_figure(11, 4.4 if batch is None else 1.4 + 0.34 * len(drawn[0].curves), PURPOSE)
    measured = "" if batch is None else f", in batches of {counted(batch, 'view')}"
    figure.suptitle(
        f"{record['bundle']['name']}: {record['bundle']['architecture']} on {record['machine']['cpu']}{measured}"
    )
    for axes, chart in zip(figure.subplots(1, 2), drawn, strict=True):
        axes.set_title(chart.title, fontsize="medium")
        (_bars if batch is not None else _lines)(axes, chart)
    if batch is None and drawn[1].curves:
        figure.axes[1].legend(fontsize="small")
    with atomic_write(path) as stream:
        figure.savefig(stream, dpi=120, format="png")


def _bars(axes: Axes, chart: Chart) -> None:
    values = [curve.values[0] for curve in chart.curves]
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(values))]
    bars = axes.barh([curve.name for curve in chart.curves], values, color=colours)
    axes.bar_label(bars, [figure_text(value) for value in values], padding=3)
    # The first candidate on top, and room for the figure behind the longest bar.
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(values))
    axes.spines[["top", "right"]].set_visible(False)


def _lines(axes: Axes, chart: Chart) -> None:
    for number, curve in enumerate(chart.curves):
        colour, line = COLOURS[number % len(COLOURS)], _LINES[number // len(COLOURS) % len(_LINES)]
        axes.plot(curve.batches, curve.values, line, color=colour, marker="o", label=curve.name)
    axes.set(xscale="log", yscale="log", xlabel="views in a batch")
    axes.set_xticks(chart.batches, [str(batch) for batch in chart.batches])
    axes.set_xticks([], minor=True)
    values = [value for curve in chart.curves for value in curve.values]
    if values:
        low, high = min(values) / 1.2, max(values) * 1.2
        axes.set_ylim(low, high)
        axes.set_yticks(ticks(low, high), [f"{tick:g}" for tick in ticks(low, high)])
        axes.set_yticks([], minor=True)
    axes.grid(alpha=0.3)
