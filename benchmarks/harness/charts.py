"""The time of a defect and the defects per second, as one HTML file that needs nothing else.

Over batch size as lines; where only one batch size was measured, as bars with their figures.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvrec_edge.bench.chart_axis import LogAxis
from mvrec_edge.runtime.files import atomic_write
from mvrec_edge.runtime.wording import counted

__all__ = ["COLOURS", "Chart", "Curve", "charts", "figure_text", "write_html"]

#: Distinct for most eyes (Okabe and Ito); dashes tell apart what shares a colour.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

_WIDTH, _HEIGHT = 520, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 15, 30, 45
_BAR, _GAP, _LETTER = 18, 8, 7.0
_STYLE = "body{font:14px sans-serif;margin:2em;color:#222;background:#fff}svg{margin-right:1em}"


@dataclass(frozen=True)
class Curve:
    """One candidate in one chart.

    Attributes:
        name: The candidate.
        batches: Views in a batch, ascending.
        values: A value for each of them, > 0.
    """

    name: str
    batches: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Chart:
    """What is drawn into one pair of axes.

    Attributes:
        title: What the values are, with their unit.
        curves: The candidates that were measured.
        batches: All batch sizes, ascending.
    """

    title: str
    curves: tuple[Curve, ...]
    batches: tuple[int, ...]

    @property
    def single(self) -> int | None:
        """The only batch size; None where there are several, or none."""
        return self.batches[0] if len(self.batches) == 1 else None


def charts(record: Mapping[str, Any]) -> tuple[Chart, Chart]:
    """What a plot shows of a record: milliseconds of a defect, and defects per second.

    A defect is as many views as the record says; what a batch takes is shared out among its views.
    """
    views = int(record["settings"]["views_per_defect"])
    times, rates = [], []
    for row in record["candidates"]:
        cells = sorted((cell for cell in row["cells"] if cell["p50_ms"] > 0), key=lambda cell: int(cell["batch"]))
        if not cells:
            continue
        batches = tuple(int(cell["batch"]) for cell in cells)
        of_defect = tuple(float(cell["p50_ms"]) / int(cell["batch"]) * views for cell in cells)
        times.append(Curve(row["candidate"], batches, of_defect))
        rates.append(Curve(row["candidate"], batches, tuple(1e3 / value for value in of_defect)))
    every = tuple(sorted({batch for curve in times for batch in curve.batches}))
    unit = f"a defect of {counted(views, 'view')}"
    return (
        Chart(f"time for {unit}, median, ms", tuple(times), every),
        Chart(f"defects/s, each {unit.removeprefix('a defect of ')}", tuple(rates), every),
    )


def figure_text(value: float) -> str:
    """A value with three digits, which is all that a noisy machine can say."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def write_html(record: Mapping[str, Any], path: Path) -> None:
    """Writes a page with two charts drawn in place.

    Raises:
        OutputError: The file cannot be written.
    """
    drawn = charts(record)
    title = f"{record['bundle']['name']}: {record['bundle']['architecture']} on {record['machine']['cpu']}"
    body = [f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(record['question'])}</p>"]
    if (batch := drawn[0].single) is not None:
        body.append(f"<p>Measured in batches of {counted(batch, 'view')}.</p>")
        body += [_bars(chart) for chart in drawn]
    else:
        body += [_lines(chart) for chart in drawn]
        body.append(_legend(drawn[0]))
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )
    with atomic_write(path) as stream:
        stream.write(page.encode())


def _svg(chart: Chart, width: float, height: float, parts: Sequence[str]) -> str:
    title = html.escape(chart.title)
    head = f'<svg width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{title}" font-size="12">'
    return "".join([head, f'<text x="{_GAP}" y="18" font-weight="bold">{title}</text>', *parts, "</svg>"])


def _bars(chart: Chart) -> str:
    """One bar for each candidate, from zero, with its figure at its end."""
    names = max((len(curve.name) for curve in chart.curves), default=0) * _LETTER + 2 * _GAP
    longest = max((curve.values[0] for curve in chart.curves), default=1.0)
    parts = []
    for number, curve in enumerate(chart.curves):
        top = _TOP + number * (_BAR + _GAP)
        long = curve.values[0] / longest * (_WIDTH - _LEFT)
        middle = top + _BAR / 2 + 4
        parts += [
            f'<text x="{names - _GAP:.1f}" y="{middle:.1f}" text-anchor="end">{html.escape(curve.name)}</text>',
            f'<rect x="{names:.1f}" y="{top}" width="{long:.1f}" height="{_BAR}" fill="{_colour(number)}"/>',
            f'<text x="{names + long + 4:.1f}" y="{middle:.1f}">{figure_text(curve.values[0])}</text>',
        ]
    return _svg(chart, names + _WIDTH, _TOP + len(chart.curves) * (_BAR + _GAP) + _GAP, parts)


def _lines(chart: Chart) -> str:
    """Lines over batch size, with logarithmic axes."""
    xs = chart.batches or (1,)
    ys = [value for curve in chart.curves for value in curve.values] or [1.0]
    across = LogAxis(min(xs) / 1.1, max(xs) * 1.1, _LEFT, _WIDTH - _RIGHT)
    up = LogAxis(min(ys) / 1.2, max(ys) * 1.2, _HEIGHT - _BOTTOM, _TOP)
    parts = []
    for batch in xs:
        x = across.place(batch)
        parts.append(f'<path d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#eee"/>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{batch}</text>')
    for tick in up.ticks():
        y = up.place(tick)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#eee"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">views in a batch</text>'
    )
    for number, curve in enumerate(chart.curves):
        points = [(across.place(x), up.place(y), x, y) for x, y in zip(curve.batches, curve.values, strict=True)]
        line = " ".join(f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for at, (x, y, _, _) in enumerate(points))
        parts.append(f'<path d="{line}" fill="none" {_stroke(number)}/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_colour(number)}">'
            f"<title>{html.escape(curve.name)}, batch {batch}: {figure_text(value)}</title></circle>"
            for x, y, batch, value in points
        ]
    return _svg(chart, _WIDTH, _HEIGHT, parts)


def _legend(chart: Chart) -> str:
    items = "".join(
        f'<li><svg width="44" height="10"><path d="M0 5H40" {_stroke(number)}/></svg>{html.escape(curve.name)}</li>'
        for number, curve in enumerate(chart.curves)
    )
    return f'<ul style="list-style:none;padding:0">{items}</ul>'


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _stroke(number: int) -> str:
    lap = number // len(COLOURS)
    dashes = f' stroke-dasharray="{6 - min(lap, 4)} {2 + lap}"' if lap else ""
    return f'stroke="{_colour(number)}" stroke-width="2"{dashes}'
