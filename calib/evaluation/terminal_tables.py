"""An evaluation as tables for a terminal, at most 100 columns wide with names of usual length."""

from __future__ import annotations

from collections.abc import Sequence

from mvrec_edge.calib.evaluation.directions import MEAN, DirectionMean
from mvrec_edge.calib.evaluation.head_result import HeadResult
from mvrec_edge.calib.evaluation.paired_difference import PairedDifference
from mvrec_edge.calib.evaluation.set_evaluation import Evaluation
from mvrec_edge.calib.evaluation.shot_counts import shots_words
from mvrec_edge.calib.evaluation.tables import CLASS_COLUMNS, class_rows, fewer_draws, points
from mvrec_edge.runtime.wording import counted

__all__ = ["class_lines", "confusion_lines", "evaluation_lines"]

_COLUMNS = {
    "draws": 7,
    "queries": 9,
    "accuracy, %": 13,
    "SE draws": 10,
    "SE queries": 12,
    "log-loss": 10,
    "Brier": 8,
    "ECE, %": 8,
}
_CLASS_WIDTHS = (12, 9, 15, 13, 17)
_LEGEND = "SE: standard error in points; over draws for other shots, over queries for other defects"


def evaluation_lines(evaluation: Evaluation) -> list[str]:
    """The figures of each head for each number of shots, and which heads can be told apart; of each direction."""
    lines: list[str] = []
    both = evaluation.mean_of_directions
    for each in evaluation.directions:
        lines += [] if both is None else [f"{each.name}:"]
        lines += _figure_lines(each.heads)
        lines += [*fewer_draws(each.heads), *_difference_lines(each.differences)]
        lines += [] if both is None else [""]
    if both is not None:
        lines += [f"{MEAN}:", *_figure_lines(both.heads), *_difference_lines(both.differences)]
    return [*lines, _LEGEND]


def _figure_lines(results: Sequence[HeadResult] | Sequence[DirectionMean]) -> list[str]:
    width = max(8, *(len(each.head) + 2 for each in results))
    lines = [f"{'shots':<7}{'head':<{width}}" + "".join(f"{name:>{wide}}" for name, wide in _COLUMNS.items())]
    for each in results:
        cells = zip(_cells(each), _COLUMNS.values(), strict=True)
        lines.append(f"{each.shots!s:<7}{each.head:<{width}}" + "".join(f"{cell:>{wide}}" for cell, wide in cells))
    return lines


def _cells(of: HeadResult | DirectionMean) -> tuple[str, ...]:
    if isinstance(of, DirectionMean):
        draws, queries, shares = of.draws, of.queries, (of.log_loss, of.brier, of.calibration_error)
    else:
        measures = of.probabilities
        draws, queries = len(of.accuracies), of.overall.queries
        shares = (measures.log_loss.value, measures.brier.value, measures.calibration_error.value)
    loss, brier, error = shares
    figures = (points(of.mean), points(of.over_draws), points(of.over_queries))
    return str(draws), str(queries), *figures, f"{loss:.3f}", f"{brier:.3f}", f"{100 * error:.1f}"


def _difference_lines(differences: Sequence[PairedDifference]) -> list[str]:
    if not differences:
        return []
    return ["accuracy, with the 95% interval of the difference:", *(f"  {each.sentence}" for each in differences)]


def class_lines(result: HeadResult, class_names: Sequence[str], where: str = "") -> list[str]:
    """What stands behind the figure of one head at one number of shots, class by class.

    Args:
        result: The head.
        class_names: The classes.
        where: The direction, where there are two.
    """
    lines = [f"each class, {shots_words(result.shots)}, head {result.head}{where and f', {where}'}:"]
    width = max(14, *(len(name) + 2 for name in class_names))
    columns = zip(CLASS_COLUMNS, _CLASS_WIDTHS, strict=True)
    lines.append(f"{'class':<{width}}" + "".join(f"{name:>{wide}}" for name, wide in columns))
    for name, row in class_rows(result, class_names):
        cells = zip(row, _CLASS_WIDTHS, strict=True)
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>{wide}}" for cell, wide in cells))
    return [*lines, *confusion_lines(result, class_names)]


def confusion_lines(result: HeadResult, class_names: Sequence[str]) -> list[str]:
    """Which classes are read wrongly most often, in a line; none where every answer is right."""
    worst = [
        f"{class_names[each.label]} as {class_names[each.read_as]}, {each.wrong} of {counted(each.answers, 'answer')}"
        for each in result.most_confused()
    ]
    return [f"read wrongly most often: {'; '.join(worst)}"] if worst else []
