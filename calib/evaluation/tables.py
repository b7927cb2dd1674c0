"""An evaluation as JSON and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mvrec_edge.calib.evaluation.directions import MEAN, DirectionMean
from mvrec_edge.calib.evaluation.head_result import ClassResult, HeadResult
from mvrec_edge.calib.evaluation.paired_difference import PairedDifference
from mvrec_edge.calib.evaluation.probability_measures import Measured
from mvrec_edge.calib.evaluation.set_evaluation import Evaluation
from mvrec_edge.calib.evaluation.shot_counts import ShotRange, in_order, shots_words

__all__ = [
    "CLASS_COLUMNS",
    "class_rows",
    "evaluation_json",
    "evaluation_markdown",
    "fewer_draws",
    "fullest",
    "plain_name",
    "points",
    "table_row",
]

#: What is told of each class, besides its name.
CLASS_COLUMNS = ("support", "queries", "right answers", "accuracy, %", "95% interval, %")

_COLUMNS = (
    *("shots", "head", "draws", "queries", "accuracy, %", "spread of draws", "SE over draws", "SE over queries"),
    *("log-loss", "Brier score", "calibration error, %"),
)
_LEGEND = (
    "Accuracy is the mean over the draws; spread is the standard deviation of the draws. SE is the standard error of "
    "the mean in points: over draws it says what other shots would change, over queries what other defects would. In "
    "brackets: 95% intervals by drawing the queries again."
)
_COUNTS = (
    "Each draw answers each of its queries once. Right answers are counted over all draws; a query that several draws "
    "classify counts once among the queries. Accuracy is right answers divided by answers. The interval is that of "
    "Wilson's score for so many queries, since the draws repeat the same ones. The row all is the sum."
)


def evaluation_json(evaluation: Evaluation, about: Mapping[str, Any]) -> dict[str, Any]:
    """The evaluation in plain JSON types.

    Args:
        evaluation: What was found.
        about: What was evaluated, for the record.
    """
    names, both = evaluation.class_names, evaluation.mean_of_directions
    results, differences = [], []
    for each in evaluation.directions:
        label = {} if both is None else {"direction": each.name}
        results += [{**label, **result.to_dict(names)} for result in each.heads]
        differences += [{**label, **difference.to_dict()} for difference in each.differences]
    document = {
        **about,
        "class_names": list(names),
        "cautions": list(evaluation.cautions),
        "results": results,
        "differences": differences,
    }
    if both is not None:
        document["mean_of_directions"] = {
            "results": [each.to_dict() for each in both.heads],
            "differences": [each.to_dict() for each in both.differences],
        }
    return document


def fullest(results: Sequence[HeadResult]) -> list[HeadResult]:
    """The results with the most shots, one for each head."""
    most = in_order(result.shots for result in results)[-1]
    return [result for result in results if result.shots == most]


def points(share: float) -> str:
    """A share, or a standard error of one, in percentage points; a dash where it is not known."""
    return "-" if math.isnan(share) else f"{100 * share:.2f}"


def fewer_draws(results: Sequence[HeadResult]) -> list[str]:
    """Says in a line which heads have fewer draws than others; none where all have as many."""
    most = max(len(result.accuracies) for result in results)
    named = {result.head: len(result.accuracies) for result in results if len(result.accuracies) < most}
    return [
        f"{head} is trained anew in each draw, so it has the first {draws} of the {most} draws (--trained-draws)"
        for head, draws in named.items()
    ]


def class_rows(result: HeadResult, class_names: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The name and the cells, as in `CLASS_COLUMNS`, of each class, and of all together."""
    rows = [(name, _cells(each, result, 1)) for name, each in zip(class_names, result.classes, strict=True)]
    return [*rows, ("all", _cells(result.overall, result, len(class_names)))]


def _cells(of: ClassResult, result: HeadResult, classes: int) -> tuple[str, ...]:
    if isinstance(result.shots, ShotRange):
        support = f"{classes * result.shots.low}-{classes * result.shots.high}"
    else:
        support = str(classes * result.shots)
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


def evaluation_markdown(evaluation: Evaluation, title: str) -> str:
    """The evaluation as Markdown: figures, differences and queries, and of each head the classes at the most shots.

    Args:
        evaluation: What was found.
        title: The page's title.
    """
    names, both = evaluation.class_names, evaluation.mean_of_directions
    lines = [f"# {title}", "", _LEGEND]
    for each in evaluation.directions:
        if both is not None:
            lines += ["", f"## {each.name.capitalize()}"]
        lines += ["", *_figure_rows(each.heads), *_difference_items(each.differences)]
        lines += _query_rows(each.heads, names)
    if both is not None:
        lines += ["", f"## {MEAN.capitalize()}", "", *_mean_rows(both.heads), *_difference_items(both.differences)]
    for caution in evaluation.cautions:
        lines += ["", f"**Caution**: {plain_name(caution)}."]
    for each in evaluation.directions:
        for result in fullest(each.heads):
            lines += _class_part(result, names, "" if both is None else f", {each.name}")
    return "\n".join(lines) + "\n"


def _figure_rows(results: Sequence[HeadResult]) -> list[str]:
    lines = table_row(_COLUMNS, header=True)
    for each in results:
        measures = each.probabilities
        lines += table_row(
            [
                str(each.shots),
                each.head,
                str(len(each.accuracies)),
                str(each.overall.queries),
                *map(points, (each.mean, each.spread, each.over_draws, each.over_queries)),
                _with_interval(measures.log_loss, 1, 3),
                _with_interval(measures.brier, 1, 3),
                _with_interval(measures.calibration_error, 100, 1),
            ]
        )
    return [*lines, *(part for line in fewer_draws(results) for part in ("", f"{line}."))]


def _with_interval(measured: Measured, scale: int, digits: int) -> str:
    value = f"{scale * measured.value:.{digits}f}"
    low, high = measured.interval
    return value if math.isnan(low) else f"{value} ({scale * low:.{digits}f} to {scale * high:.{digits}f})"


def _mean_rows(means: Sequence[DirectionMean]) -> list[str]:
    lines = table_row([name for name in _COLUMNS if name != "spread of draws"], header=True)
    for each in means:
        figures = (each.mean, each.over_draws, each.over_queries)
        shares = (f"{each.log_loss:.3f}", f"{each.brier:.3f}", f"{100 * each.calibration_error:.1f}")
        counts = (str(each.shots), each.head, str(each.draws), str(each.queries))
        lines += table_row([*counts, *map(points, figures), *shares])
    return lines


def _difference_items(differences: Sequence[PairedDifference]) -> list[str]:
    return ["", *(f"- {each.sentence}" for each in differences)] if differences else []


def _query_rows(results: Sequence[HeadResult], class_names: Sequence[str]) -> list[str]:
    """The queries of each class for each number of shots; all heads have the same, but for those with fewer draws."""
    of_shots: dict[Any, HeadResult] = {}
    for each in results:
        of_shots.setdefault(each.shots, each)
    lines = ["", *table_row(["queries", *(plain_name(name) for name in class_names)], header=True)]
    for shots, each in of_shots.items():
        lines += table_row([shots_words(shots), *(str(count) for count in each.queries.tolist())])
    return lines


def _class_part(result: HeadResult, class_names: Sequence[str], where: str) -> list[str]:
    """The classes of one head at one number of shots, and its confusion."""
    shots = shots_words(result.shots)
    lines = ["", f"## Each class, {result.head}, {shots}{where}", "", _COUNTS, ""]
    lines += table_row(["class", *CLASS_COLUMNS], header=True)
    for name, row in class_rows(result, class_names):
        lines += table_row([plain_name(name), *row])
    lines += [
        "",
        f"## Confusion of {result.head}, {shots}{where}",
        "",
        "Rows are the true classes; summed over the draws.",
        "",
    ]
    lines += table_row(["", *(plain_name(name) for name in class_names)], header=True)
    for name, counts in zip(class_names, result.confusion, strict=True):
        lines += table_row([plain_name(name), *(str(int(count)) for count in counts)])
    return lines


def table_row(cells: Sequence[str], *, header: bool = False) -> list[str]:
    """A row of a Markdown table, with the line below a header."""
    lines = ["| " + " | ".join(cells) + " |"]
    return [*lines, "| " + " | ".join("---" for _ in cells) + " |"] if header else lines


def plain_name(name: str) -> str:
    """A class name that cannot break a table."""
    return name.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
