"""An evaluation as JSON, as Markdown, and as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mvrec_edge.calib.evaluation.protocol import HeadResult
from mvrec_edge.calib.plotting import new_figure, save_figure
from mvrec_edge.runtime.files import writing

__all__ = ["evaluation_json", "evaluation_lines", "evaluation_markdown", "plain_name", "plot_evaluation", "table_row"]


def evaluation_json(results: Sequence[HeadResult], class_names: Sequence[str], about: dict[str, Any]) -> dict[str, Any]:
    """The evaluation in plain JSON types.

    Args:
        results: What `evaluate_heads` returned.
        class_names: The classes.
        about: What was evaluated, for the record.
    """
    return {
        **about,
        "class_names": list(class_names),
        "results": [result.to_dict(class_names) for result in results],
    }


def evaluation_lines(results: Sequence[HeadResult]) -> list[str]:
    """The evaluation as a table for a terminal: heads over shots."""
    shots = sorted({result.shots for result in results})
    lines = [f"{'accuracy, %':<14}" + "".join(f"{shots_text(count):>18}" for count in shots)]
    for head in dict.fromkeys(result.head for result in results):
        cells = (f"{100 * cell.mean:.2f} ± {100 * cell.spread:.2f}" for cell in results if cell.head == head)
        lines.append(f"{head:<14}" + "".join(f"{cell:>18}" for cell in cells))
    return lines


def evaluation_markdown(results: Sequence[HeadResult], class_names: Sequence[str], title: str) -> str:
    """The evaluation as Markdown: heads over shots, classes, and the confusion of each head at the most shots."""
    shots = sorted({result.shots for result in results})
    heads = list(dict.fromkeys(result.head for result in results))
    by_place = {(result.head, result.shots): result for result in results}
    lines = [f"# {title}", "", "Accuracy in %, mean and standard deviation over the draws.", ""]
    lines += table_row(["head", *(shots_text(count) for count in shots)], header=True)
    for head in heads:
        cells = (by_place[head, count] for count in shots)
        lines += table_row([head, *(f"{100 * cell.mean:.2f} ± {100 * cell.spread:.2f}" for cell in cells)])
    most = shots[-1]
    lines += ["", f"## Each class, {shots_text(most)}", ""]
    lines += table_row(["head", *(plain_name(name) for name in class_names)], header=True)
    for head in heads:
        shares = by_place[head, most].per_class
        lines += table_row([head, *("-" if np.isnan(share) else f"{100 * share:.1f}" for share in shares)])
    for head in heads:
        lines += [
            "",
            f"## Confusion of {head}, {shots_text(most)}",
            "",
            "Rows are the true classes; summed over the draws.",
            "",
        ]
        lines += table_row(["", *(plain_name(name) for name in class_names)], header=True)
        for name, row in zip(class_names, by_place[head, most].confusion, strict=True):
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
        axes.set(title=f"{head}, {shots_text(shots[-1])}", xlabel="predicted", ylabel="true")
    with writing(path):
        save_figure(figure, path)


def shots_text(count: int) -> str:
    """A number of shots in words: `"1 shot"`, `"5 shots"`."""
    return f"{count} shot{'' if count == 1 else 's'}"


def table_row(cells: Sequence[str], *, header: bool = False) -> list[str]:
    """A row of a Markdown table, with the line below a header."""
    lines = ["| " + " | ".join(cells) + " |"]
    return [*lines, "| " + " | ".join("---" for _ in cells) + " |"] if header else lines


def plain_name(name: str) -> str:
    """A class name that cannot break a table."""
    return name.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
