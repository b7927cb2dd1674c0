"""The pocket encoder's figures as Markdown, and whether each bound that was set for it is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pocket_trials import HELD_OUT, TILES

__all__ = ["POCKET", "Judgement", "judge", "markdown"]

POCKET = "pocket"

_TRAINING_FREE, _BEST, _HELD_OUT, _MILLISECONDS = 55.0, 65.0, 90.0, 150.0


@dataclass(frozen=True)
class Judgement:
    """One bound.

    Attributes:
        what: What is asked.
        figure: What was measured, in words; empty where it was not measured.
        reached: Whether it is reached; None where it was not measured.
    """

    what: str
    figure: str
    reached: bool | None

    def __str__(self) -> str:
        verdict = {True: "reached", False: "NOT REACHED", None: "not measured"}[self.reached]
        return f"{verdict}: {self.what}" + (f": {self.figure}" if self.figure else "")


def judge(figures: Mapping[str, Any]) -> list[Judgement]:
    """Holds figures against the bounds.

    Args:
        figures: `rows` and, where it was measured, `speed`, as `pocket.py` writes them.

    Returns:
        One judgement for each bound.
    """
    rows = [row for row in figures["rows"] if row["encoder"] == POCKET]
    tiles = [row for row in rows if row["set"] == TILES]
    free = [row for row in tiles if not row["trained"]]
    held_out = [row for row in rows if row["set"] == HELD_OUT and row["head"] == "auto"]
    times = figures["speed"]["rows"] if figures.get("speed") else []
    found = [
        _accuracy(f"magnetic tile, training-free, at least {_TRAINING_FREE:g}%", free, _TRAINING_FREE),
        _accuracy(f"magnetic tile, the best head, at least {_BEST:g}%", tiles, _BEST),
        _accuracy(f"held-out families, the head of the demo, at least {_HELD_OUT:g}%", held_out, _HELD_OUT),
    ]
    what = f"27 views of a defect from file to class on 2 threads, at most {_MILLISECONDS / 1000:g} s"
    exact = [row for row in times if row["resample"] == "exact"]
    if exact and figures["speed"]["threads"] == 2:
        # What `--engine auto` takes, with the views that are cut by default.
        best = min(exact, key=lambda row: row["ms"]["total"])
        others = (row for row in times if row is not best)
        figure = ", ".join(
            f"{row['ms']['total'] / 1000:.3f} s with {row['candidate']} and {row['resample']} views"
            for row in (best, *others)
        )
        found.append(Judgement(what, figure, best["ms"]["total"] <= _MILLISECONDS))
    else:
        found.append(Judgement(what, "", None))
    return found


def _accuracy(what: str, rows: Sequence[Mapping[str, Any]], bound: float) -> Judgement:
    if not rows:
        return Judgement(what, "", None)
    best = max(rows, key=lambda row: row["mean"])
    figure = f"{_cell(best)} with {best['head']}"
    auto = next((row for row in rows if row["head"] == "auto"), None)
    if auto is not None and auto is not best:
        figure += f" ({_cell(auto)} with auto, which chooses on the support alone)"
    return Judgement(what, figure, best["mean"] >= bound)


def markdown(figures: Mapping[str, Any], machine: Mapping[str, Any]) -> str:
    """The tables: one for each set with encoders over heads, one for the times, and the judgements."""
    rows = figures["rows"]
    lines = [
        "# What the pocket encoder is worth",
        "",
        f"Weights: {figures['weights']}. Accuracy in %, mean ± standard deviation over {figures['draws']} seeded",
        "draws; of random weights over the draws of every seed. Training-free heads fit nothing but a temperature;",
        "`auto` chooses among them on the support alone.",
    ]
    lines += ["", *_summary(rows)]
    for name in dict.fromkeys(row["set"] for row in rows):
        part = [row for row in rows if row["set"] == name]
        first = part[0]
        encoders = list(dict.fromkeys(row["encoder"] for row in part))
        lines += ["", f"## {name[0].upper()}{name[1:]}", ""]
        lines += [
            f"{first['instances']} instances of {first['classes']} classes, {first['shots']} shots, all others "
            f"classified; chance is {100 / first['classes']:.0f}%.",
            "",
        ]
        lines += _row(["head", *encoders], header=True)
        by_place = {(row["head"], row["encoder"]): row for row in part}
        for head in dict.fromkeys(row["head"] for row in part):
            cells = (by_place.get((head, encoder)) for encoder in encoders)
            lines += _row([head, *("" if cell is None else _cell(cell) for cell in cells)])
    if figures.get("speed"):
        lines += ["", *_speed(figures["speed"], machine)]
    lines += ["", "## Bounds", "", *(f"- {judgement}" for judgement in judge(figures))]
    return "\n".join(lines) + "\n"


def _summary(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The best head of each encoder on each set, side by side."""
    encoders = list(dict.fromkeys(row["encoder"] for row in rows))
    lines = ["## The best head of each", ""]
    lines += _row(["set", *encoders], header=True)
    for name in dict.fromkeys(row["set"] for row in rows):
        cells = []
        for encoder in encoders:
            found = [row for row in rows if (row["set"], row["encoder"]) == (name, encoder)]
            best = max(found, key=lambda row: row["mean"], default=None)
            cells.append("" if best is None else f"{_cell(best)} ({best['head']})")
        lines += _row([name, *cells])
    return lines


def _speed(speed: Mapping[str, Any], machine: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Time of one defect",
        "",
        f"Milliseconds, median, on {speed['threads']} threads of {machine['cpu']}: {speed['image']}, "
        f"{speed['views']} views.",
        "",
    ]
    stages = list(speed["rows"][0]["ms"]) if speed["rows"] else []
    lines += _row(["engine", "views cut", *stages, "total, 95th percentile"], header=True)
    for row in speed["rows"]:
        values = (f"{row['ms'][stage]:.1f}" for stage in stages)
        lines += _row([row["candidate"], row["resample"], *values, f"{row['p95_ms']:.1f}"])
    if speed["unavailable"]:
        lines += ["", "Not measured: " + ", ".join(item["candidate"] for item in speed["unavailable"]) + "."]
    return lines


def _cell(row: Mapping[str, Any]) -> str:
    return f"{row['mean']:.1f} ± {row['spread']:.1f}"


def _row(cells: Sequence[str], *, header: bool = False) -> list[str]:
    lines = ["| " + " | ".join(cells) + " |"]
    return [*lines, "| " + " | ".join("---" for _ in cells) + " |"] if header else lines
