"""An evaluation of the limit for review as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mvrec_edge.calib.evaluation.review import ReviewResult
from mvrec_edge.calib.evaluation.tables import plain_name, table_row

__all__ = ["review_json", "review_lines", "review_markdown"]

_COLUMNS = ("head", "shots", "to a human", "right of the rest", "95% interval", "draws kept")


def review_json(results: Sequence[ReviewResult], right_at_least: float, about: Mapping[str, Any]) -> dict[str, Any]:
    """The evaluation in plain JSON types.

    Args:
        results: What `evaluate_review` returned.
        right_at_least: The wanted share of right answers.
        about: What was evaluated, for the record.
    """
    return {**about, "right_at_least": right_at_least, "results": [result.to_dict() for result in results]}


def review_lines(results: Sequence[ReviewResult], right_at_least: float) -> list[str]:
    """The evaluation as a table for a terminal."""
    lines = [
        f"a human looks at what is not at least {100 * right_at_least:g}% right:",
        f"{_COLUMNS[0]:<12}{_COLUMNS[1]:>6}" + "".join(f"{name:>19}" for name in _COLUMNS[2:]),
    ]
    for result in results:
        cells = _cells(result)
        lines.append(f"{result.head:<12}{result.shots:>6}" + "".join(f"{cell:>19}" for cell in cells))
    return lines


def review_markdown(results: Sequence[ReviewResult], right_at_least: float, title: str) -> str:
    """The evaluation as Markdown."""
    lines = [
        f"# {title}",
        "",
        f"Wanted: at least {100 * right_at_least:g}% right among what no human looks at. The limit is fitted to the "
        "shots of each draw and tried on its queries. The interval goes by the different queries that no human looks "
        'at. "Draws kept" counts the draws that reach the wanted share, of those in which some queries go without a '
        "human.",
        "",
        *table_row(list(_COLUMNS), header=True),
    ]
    for result in results:
        lines += table_row([plain_name(result.head), str(result.shots), *_cells(result)])
    return "\n".join(lines) + "\n"


def _cells(result: ReviewResult) -> list[str]:
    kept, tried = result.kept
    share = f"{100 * result.to_review:.1f}%"
    if not tried:
        return [share, "-", "-", "-"]
    low, high = result.interval
    accuracy = f"{100 * result.accuracy:.1f}%"
    return [share, accuracy, f"{100 * low:.1f} to {100 * high:.1f}%", f"{kept} of {tried}"]
