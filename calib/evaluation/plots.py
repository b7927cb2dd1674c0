"""An evaluation as pictures: accuracy and confusion, and how far stated probabilities can be relied on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mvrec_edge.calib.evaluation.probability_measures import BINS
from mvrec_edge.calib.evaluation.set_evaluation import Evaluation
from mvrec_edge.calib.evaluation.shot_counts import in_order, shots_words
from mvrec_edge.calib.evaluation.tables import fullest
from mvrec_edge.calib.plotting import new_figure, save_figure
from mvrec_edge.runtime.files import writing

__all__ = ["plot_evaluation", "plot_reliability"]

_PURPOSE = "the plot of an evaluation"


def plot_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Draws accuracy over shots, and the confusion matrix of each head at the most shots, of the first direction.

    Args:
        evaluation: What was found.
        path: PNG file to write.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        BrokenDependencyError: It does not load.
        OutputError: The file cannot be written.
    """
    class_names = evaluation.class_names
    shots = in_order(result.shots for result in evaluation.heads)
    # A range has no place on an axis of numbers.
    plain = all(isinstance(each, int) for each in shots)
    ticks = {each: each if plain and isinstance(each, int) else place for place, each in enumerate(shots)}
    last = fullest(evaluation.heads)
    figure = new_figure(4.2 * (1 + len(last)), 4.2, _PURPOSE)
    first, *others = figure.subplots(1, 1 + len(last), squeeze=False)[0]
    for head in (result.head for result in last):
        row = [result for result in evaluation.heads if result.head == head]
        means, spreads = [100 * cell.mean for cell in row], [100 * cell.spread for cell in row]
        places = [ticks[cell.shots] for cell in row]
        first.errorbar(places, means, yerr=spreads, marker="o", capsize=3, label=head)
    first.set(xlabel="shots for each class", ylabel="accuracy, %", title="accuracy over shots")
    first.set_xticks(list(ticks.values()), [str(each) for each in ticks])
    first.grid(alpha=0.3)
    first.legend()
    for axes, result in zip(others, last, strict=True):
        totals = np.maximum(result.confusion.sum(axis=1, keepdims=True), 1)
        axes.imshow(result.confusion / totals, cmap="Blues", vmin=0, vmax=1)
        for (true, predicted), count in np.ndenumerate(result.confusion):
            dark = count / totals[true, 0] > 0.5
            axes.text(predicted, true, str(count), ha="center", va="center", color="white" if dark else "black")
        axes.set_xticks(range(len(class_names)), class_names, rotation=45, ha="right")
        axes.set_yticks(range(len(class_names)), class_names)
        axes.set(title=f"{result.head}, {shots_words(result.shots)}", xlabel="predicted", ylabel="true")
    with writing(path):
        save_figure(figure, path)


def plot_reliability(evaluation: Evaluation, path: Path) -> None:
    """Draws the share of right answers over the stated probability, with the number of decisions in each bin.

    A panel for each head at the most shots, and a row for each direction. A bar on the dashed line means what it
    says; one below it promises too much.

    Args:
        evaluation: What was found.
        path: PNG file to write.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        BrokenDependencyError: It does not load.
        OutputError: The file cannot be written.
    """
    directions = evaluation.directions
    columns = len(fullest(evaluation.heads))
    figure = new_figure(4.2 * columns, 4.4 * len(directions), _PURPOSE)
    rows = figure.subplots(len(directions), columns, squeeze=False)
    for row, each in zip(rows, directions, strict=True):
        for axes, result in zip(row, fullest(each.heads), strict=True):
            filled = [place for place in result.probabilities.bins if place.decisions]
            centres = [(place.low + place.high) / 2 for place in filled]
            axes.bar(centres, [place.right for place in filled], width=1 / BINS, alpha=0.5, edgecolor="white")
            axes.plot([0, 1], [0, 1], linestyle="--", color="black", linewidth=1)
            axes.plot([place.stated for place in filled], [place.right for place in filled], "o", color="black")
            for centre, place in zip(centres, filled, strict=True):
                axes.text(centre, 1.02, str(place.decisions), ha="center", va="bottom", fontsize=7)
            error = f"calibration error {100 * result.probabilities.calibration_error.value:.1f}%"
            title = f"{result.head}, {shots_words(result.shots)}, {error}"
            axes.set(title=title if len(directions) == 1 else f"{each.name}\n{title}")
            axes.set(xlabel="stated probability (above: decisions)", ylabel="share of right answers")
            axes.set(xlim=(0, 1), ylim=(0, 1.1))
            axes.title.set_fontsize(9)
    with writing(path):
        save_figure(figure, path)
