"""Latency and throughput over batch size, as one HTML file that needs nothing else."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.files import atomic_write

__all__ = ["COLOURS", "Curve", "curves", "write_html"]

#: Distinct for most eyes (Okabe and Ito); dashes tell apart what shares a colour.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

_WIDTH, _HEIGHT = 520, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 15, 30, 45
_STYLE = "body{font:14px sans-serif;margin:2em;color:#222;background:#fff}svg{margin-right:1em}"


@dataclass(frozen=True)
class Curve:
    """One candidate over batch size.

    Attributes:
        name: The candidate.
        batches: Views in a batch.
        latency: Median milliseconds of a batch.
        throughput: Views per second.
    """

    name: str
    batches: tuple[int, ...]
    latency: tuple[float, ...]
    throughput: tuple[float, ...]


def curves(record: Mapping[str, Any]) -> list[Curve]:
    """What a plot shows of a record."""
    found = []
    for row in record["candidates"]:
        cells = sorted(row["cells"], key=lambda cell: int(cell["batch"]))
        if cells:
            batches = tuple(int(cell["batch"]) for cell in cells)
            latency = tuple(float(cell["p50_ms"]) for cell in cells)
            found.append(Curve(row["candidate"], batches, latency, tuple(float(cell["views_per_s"]) for cell in cells)))
    return found


def write_html(record: Mapping[str, Any], path: Path) -> None:
    """Writes a page with two charts drawn in place.

    Raises:
        OutputError: The file cannot be written.
    """
    drawn = curves(record)
    title = f"{record['bundle']['name']}: {record['bundle']['architecture']} on {record['machine']['cpu']}"
    body = [f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(record['question'])}</p>"]
    body.append(_chart("latency of a batch, median, ms", drawn, [curve.latency for curve in drawn]))
    body.append(_chart("throughput, views/s", drawn, [curve.throughput for curve in drawn]))
    items = "".join(
        f'<li><svg width="44" height="10"><path d="M0 5H40" {_stroke(number)}/></svg>{html.escape(curve.name)}</li>'
        for number, curve in enumerate(drawn)
    )
    body.append(f'<ul style="list-style:none;padding:0">{items}</ul>')
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )
    with atomic_write(path) as stream:
        stream.write(page.encode())


def _chart(title: str, drawn: Sequence[Curve], values: Sequence[Sequence[float]]) -> str:
    """One chart with logarithmic axes, as SVG."""
    xs = sorted({batch for curve in drawn for batch in curve.batches}) or [1]
    ys = [value for row in values for value in row if value > 0] or [1.0]
    across = _Axis(min(xs) / 1.1, max(xs) * 1.1, _LEFT, _WIDTH - _RIGHT)
    up = _Axis(min(ys) / 1.2, max(ys) * 1.2, _HEIGHT - _BOTTOM, _TOP)
    parts = [f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{html.escape(title)}" font-size="12">']
    parts.append(f'<text x="{_LEFT}" y="18" font-weight="bold">{html.escape(title)}</text>')
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
    for number, (curve, row) in enumerate(zip(drawn, values, strict=True)):
        points = [(across.place(x), up.place(y), x, y) for x, y in zip(curve.batches, row, strict=True) if y > 0]
        line = " ".join(f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for at, (x, y, _, _) in enumerate(points))
        parts.append(f'<path d="{line}" fill="none" {_stroke(number)}/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[number % len(COLOURS)]}">'
            f"<title>{html.escape(curve.name)}, batch {batch}: {value:g}</title></circle>"
            for x, y, batch, value in points
        ]
    return "".join([*parts, "</svg>"])


def _stroke(number: int) -> str:
    lap = number // len(COLOURS)
    dashes = f' stroke-dasharray="{6 - min(lap, 4)} {2 + lap}"' if lap else ""
    return f'stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="2"{dashes}'


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    first: float
    last: float

    def place(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self) -> list[float]:
        """1, 2 and 5 times powers of ten; powers alone where those are many."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        fine = [step * 10.0**power for power in powers for step in (1, 2, 5)]
        inside = [tick for tick in fine if self.low <= tick <= self.high]
        return (
            inside if len(inside) <= 12 else [10.0**power for power in powers if self.low <= 10.0**power <= self.high]
        )
