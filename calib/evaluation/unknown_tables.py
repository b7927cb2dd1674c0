"""An evaluation of unknown defects as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mvrec_edge.calib.evaluation.tables import plain_name, table_row
from mvrec_edge.calib.evaluation.unknown import NOVELTY, UnknownResult
from mvrec_edge.runtime.wording import counted

__all__ = ["unknown_json", "unknown_lines", "unknown_markdown"]

_FLAGGED = {"known_rejected": "known called unknown", "unknown_found": "unknown called unknown"}


def unknown_json(
    results: Sequence[UnknownResult], class_names: Sequence[str], reject_rate: float, about: dict[str, Any]
) -> dict[str, Any]:
    """The evaluation in plain JSON types.

    Args:
        results: What `evaluate_unknown` returned.
        class_names: The classes.
        reject_rate: The wanted share of known defects that are called unknown.
        about: What was evaluated, for the record.
    """
    return {
        **about,
        "class_names": list(class_names),
        "reject_rate": reject_rate,
        "results": [result.to_dict(class_names) for result in results],
    }


def unknown_lines(results: Sequence[UnknownResult], reject_rate: float) -> list[str]:
    """The evaluation as a table for a terminal: AUROC and FPR at 95% TPR, and what the limit did."""
    shots = sorted({result.shots for result in results})
    lines = [f"{'AUROC / FPR95':<28}" + "".join(f"{counted(count, 'shot'):>18}" for count in shots)]
    for name in dict.fromkeys(result.score for result in results):
        cells = [result for result in results if result.score == name]
        texts = (f"{cell.auroc.mean():.3f} / {cell.fpr95.mean():.3f}" for cell in cells)
        lines.append(f"{name:<28}" + "".join(f"{text:>18}" for text in texts))
    limited = [result for result in results if result.score == NOVELTY]
    lines.append(f"at a wanted false-reject rate of {100 * reject_rate:g}%:")
    for field, label in _FLAGGED.items():
        lines.append(f"{label + ', %':<28}" + "".join(f"{_share(getattr(cell, field)):>18}" for cell in limited))
    return lines


def unknown_markdown(
    results: Sequence[UnknownResult], class_names: Sequence[str], reject_rate: float, title: str
) -> str:
    """The evaluation as Markdown: every score, the limit, and each class left out."""
    shots = sorted({result.shots for result in results})
    by_place = {(result.score, result.shots): result for result in results}
    names = list(dict.fromkeys(result.score for result in results))
    heading = [counted(count, "shot") for count in shots]
    lines = [
        f"# {title}",
        "",
        "Each class is left out of the support in turn; its queries are the unknown, all others the known. AUROC / "
        "share of the unknown let through where 95% of the known are (FPR95), mean over left-out classes and draws. "
        "`novelty` is what `classify` goes by, whatever the head; the rest is for comparison.",
        "",
        *table_row(["score", *heading], header=True),
    ]
    for name in names:
        lines += table_row([name, *(_pair(by_place[name, count]) for count in shots)])
    lines += ["", f"## The limit at a wanted false-reject rate of {100 * reject_rate:g}%", ""]
    lines += table_row(["in %", *heading], header=True)
    for field, label in _FLAGGED.items():
        lines += table_row([label, *(_share(getattr(by_place[NOVELTY, count], field)) for count in shots)])
    for count in shots:
        lines += ["", f"## Each class left out, {counted(count, 'shot')}", ""]
        lines += table_row(["score", *(plain_name(name) for name in class_names)], header=True)
        for name in names:
            result = by_place[name, count]
            cells = (_pair(result, place) for place in range(len(class_names)))
            lines += table_row([name, *cells])
        found = by_place[NOVELTY, count]
        for field, label in _FLAGGED.items():
            lines += table_row([f"{label}, %", *(_share(row) for row in getattr(found, field))])
    return "\n".join(lines) + "\n"


def _pair(result: UnknownResult, place: int | None = None) -> str:
    chosen = slice(None) if place is None else place
    return f"{result.auroc[chosen].mean():.3f} / {result.fpr95[chosen].mean():.3f}"


def _share(values: Any) -> str:
    return "-" if np.isnan(values).all() else f"{100 * float(np.mean(values)):.1f}"
