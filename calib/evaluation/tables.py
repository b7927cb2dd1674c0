"""An evaluation as JSON, as Markdown, and as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mvrec_edge.calib.evaluation.head_result import ClassResult, HeadResult
from mvrec_edge.calib.plotting import new_figure, save_figure
from mvrec_edge.runtime.files import writing
from mvrec_edge.runtime.wording import counted

__all__ = [
    "class_lines",
    "evaluation_json",
    "evaluation_lines",
    "evaluation_markdown",
    "plain_name",
    "plot_evaluation",
    "table_row",
]

_COLUMNS = ("support", "queries", "right answers", "accuracy, %", "95% interval, %")
_WIDTHS = (12, 9, 15, 13, 17)
_COUNTS = (
    "Each draw answers each of its queries once. Right answers are counted over all draws; a query that several draws "
    "classify counts once among the queries. Accuracy is right answers divided by answers. The interval is that of "
    "Wilson's score for so many queries, since the draws repeat the same ones. The row all is the sum."
)


def evaluation_json(
    results: Sequence[HeadResult], class_names: Sequence[str], about: dict[str, Any], cautions: Sequence[str] = ()
) -> dict[str, Any]:
    """The evaluation in plain JSON types.

    Args:
        results: What `evaluate_heads` returned.
        class_names: The classes.
        about: What was evaluated, for the record.
        cautions: What keeps the figures from meaning what they seem to, a line each.
    """
    return {
        **about,
        "class_names": list(class_names),
        "cautions": list(cautions),
        "results": [result.to_dict(class_names) for result in results],
    }


def evaluation_lines(results: Sequence[HeadResult]) -> list[str]:
    """The evaluation as a table for a terminal: heads over shots, and the queries behind each column."""
    shots = sorted({result.shots for result in results})
    lines = [f"{'accuracy, %':<14}" + "".join(f"{counted(count, 'shot'):>18}" for count in shots)]
    for head in dict.fromkeys(result.head for result in results):
        cells = (f"{100 * cell.mean:.2f} ± {100 * cell.spread:.2f}" for cell in results if cell.head == head)
        lines.append(f"{head:<14}" + "".join(f"{cell:>18}" for cell in cells))
    queries = {result.shots: result.overall.queries for result in results}
    return [*lines, f"{'queries':<14}" + "".join(f"{queries[count]:>18}" for count in shots)]


def class_lines(result: HeadResult, class_names: Sequence[str]) -> list[str]:
    """What stands behind the figure of one head at one number of shots, class by class, for a terminal."""
    lines = [f"each class, {counted(result.shots, 'shot')}, head {result.head}:"]
    width = max(14, *(len(name) + 2 for name in class_names))
    lines.append(
        f"{'class':<{width}}" + "".join(f"{name:>{wide}}" for name, wide in zip(_COLUMNS, _WIDTHS, strict=True))
    )
    for name, row in _class_rows(result, class_names):
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>{wide}}" for cell, wide in zip(row, _WIDTHS, strict=True)))
    return [*lines, *confusion_lines(result, class_names)]


def confusion_lines(result: HeadResult, class_names: Sequence[str]) -> list[str]:
    """Which classes are read wrongly most often, in a line; none where every answer is right."""
    worst = [
        f"{class_names[each.label]} as {class_names[each.read_as]}, {each.wrong} of {counted(each.answers, 'answer')}"
        for each in result.most_confused()
    ]
    return [f"read wrongly most often: {'; '.join(worst)}"] if worst else []


def _class_rows(result: HeadResult, class_names: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The name and the cells of each class, and of all together."""
    rows = [(name, _cells(each, result.shots)) for name, each in zip(class_names, result.classes, strict=True)]
    return [*rows, ("all", _cells(result.overall, result.shots * len(class_names)))]


def _cells(of: ClassResult, support: int) -> tuple[str, ...]:
    drawn = f"{support} of {of.labelled}"
    if not of.answers:
        return drawn, "0", "-", "-", "-"
    low, high = of.interval
    return (
        drawn,
        str(of.queries),
        f"{of.right} of {of.answers}",
        f"{100 * of.accuracy:.1f}",
        f"{100 * low:.0f} to {100 * high:.0f}",
    )


def evaluation_markdown(
    results: Sequence[HeadResult], class_names: Sequence[str], title: str, cautions: Sequence[str] = ()
) -> str:
    """The evaluation as Markdown: heads over shots, and of each head at the most shots the classes and the confusion.

    Args:
        results: What `evaluate_heads` returned.
        class_names: The classes.
        title: The page's title.
        cautions: What keeps the figures from meaning what they seem to, a line each.
    """
    shots = sorted({result.shots for result in results})
    heads = list(dict.fromkeys(result.head for result in results))
    by_place = {(result.head, result.shots): result for result in results}
    lines = [f"# {title}", "", "Accuracy in %, mean and standard deviation over the draws.", ""]
    lines += table_row(["head", *(counted(count, "shot") for count in shots)], header=True)
    for head in heads:
        cells = (by_place[head, count] for count in shots)
        lines += table_row([head, *(f"{100 * cell.mean:.2f} ± {100 * cell.spread:.2f}" for cell in cells)])
    lines += table_row(["queries", *(str(by_place[heads[0], count].overall.queries) for count in shots)])
    for caution in cautions:
        lines += ["", f"**Caution**: {plain_name(caution)}."]
    most = shots[-1]
    for head in heads:
        result = by_place[head, most]
        lines += ["", f"## Each class, {head}, {counted(most, 'shot')}", "", _COUNTS, ""]
        lines += table_row(["class", *_COLUMNS], header=True)
        for name, row in _class_rows(result, class_names):
            lines += table_row([plain_name(name), *row])
        lines += [
            "",
            f"## Confusion of {head}, {counted(most, 'shot')}",
            "",
            "Rows are the true classes; summed over the draws.",
            "",
        ]
        lines += table_row(["", *(plain_name(name) for name in class_names)], header=True)
        for name, row in zip(class_names, result.confusion, strict=True):
            lines += table_row([plain_name(name), *(str(int(count)) for count in row)])
    return "\n".join(lines) + "\n"


def plot_evaluation(results: Sequence[HeadResult], class_names: Sequence[str], path: Path) -> None:
    """Draws accuracy over shots, and the confusion matrix of each head at the most shots.

    Args:
        results: What `evaluate_heads` returned.
        class_names: The classes.
        path: PNG file to write.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    shots = sorted({result.shots for result in results})
    heads = list(dict.fromkeys(result.head for result in results))
    by_place = {(result.head, result.shots): result for result in results}
    figure = new_figure(4.2 * (1 + len(heads)), 4.2, "the plot of an evaluation")
    first, *others = figure.subplots(1, 1 + len(heads), squeeze=False)[0]
    for head in heads:
        row = [by_place[head, count] for count in shots]
        means, spreads = [100 * cell.mean for cell in row], [100 * cell.spread for cell in row]
        first.errorbar(shots, means, yerr=spreads, marker="o", capsize=3, label=head)
    first.set(xlabel="shots for each class", ylabel="accuracy, %", title="accuracy over shots", xticks=shots)
    first.grid(alpha=0.3)
    first.legend()
    for axes, head in zip(others, heads, strict=True):
        confusion = by_place[head, shots[-1]].confusion
        totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
        axes.imshow(confusion / totals, cmap="Blues", vmin=0, vmax=1)
        for (true, predicted), count in np.ndenumerate(confusion):
            dark = count / totals[true, 0] > 0.5
            axes.text(predicted, true, str(count), ha="center", va="center", color="white" if dark else "black")
        places = range(len(class_names))
        axes.set_xticks(places, class_names, rotation=45, ha="right")
        axes.set_yticks(places, class_names)
        axes.set(title=f"{head}, {counted(shots[-1], 'shot')}", xlabel="predicted", ylabel="true")
    with writing(path):
        save_figure(figure, path)


def table_row(cells: Sequence[str], *, header: bool = False) -> list[str]:
    """A row of a Markdown table, with the line below a header."""
    lines = ["| " + " | ".join(cells) + " |"]
    return [*lines, "| " + " | ".join("---" for _ in cells) + " |"] if header else lines


def plain_name(name: str) -> str:
    """A class name that cannot break a table."""
    return name.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
