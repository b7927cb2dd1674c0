"""How accurate is each head on real AlphaCLIP features, and what are its probabilities worth?

The paper's protocol on cached features with a support split and a query split: 1, 3 and 5 shots, every query
classified; 20 draws, of a head that trains five. Both directions are measured: shots of the support split and the query
split classified, and the other way round. The first five draws of the first direction are the released ones, which the
paper reports. Supports that are not balanced, where each class has 2 to 5 shots of its own, are measured as well.
Baselines come from `baselines.py`, which is run before.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _machine import TRANSISTOR_FEATURES, write_result
from head_rows import accuracy_cell, head_row, table

from mvrec_edge.calib import EvaluationSet, Protocol, ShotRange, evaluate_heads, read_features
from mvrec_edge.calib.evaluation.directions import BACKWARD, FORWARD

SHOTS, UNBALANCED, DRAWS, RELEASED_DRAWS = (1, 3, 5), ShotRange(2, 5), 20, 5
TRAINING_FREE = ("auto", "zip-w", "zip-vw", "zip-c", "zip")
WOMV = "zip, mean, the query's first view (womv)"

#: The paper's rows for this category.
PAPER = {"zip": "77.1 / 97.1 / 99.1", "zip-f": "89.5 / 100 / 100"}

_Rows = list[dict[str, Any]]


def first_view(data: EvaluationSet) -> EvaluationSet:
    """The same support, with the first view of each query alone."""
    return data if data.query is None else dataclasses.replace(data, query=data.query[:, :1])


def training_free(data: EvaluationSet, draws: int) -> _Rows:
    """Rows of one direction: the heads that do not train, the other aggregation of `zip`, and unbalanced supports."""
    found = [
        head_row(result)
        for result in evaluate_heads(data, Protocol(SHOTS, draws, TRAINING_FREE, shot_ranges=(UNBALANCED,)))
    ]
    mean = Protocol(SHOTS, draws, ("zip",), aggregate="mean")
    for name, of in (("zip, mean", data), (WOMV, first_view(data))):
        found += [head_row(result, name) for result in evaluate_heads(of, mean)]
    return found


def trained(data: EvaluationSet, draws: int) -> _Rows:
    """Rows of one direction: the head that trains anew in each draw."""
    protocol = Protocol(SHOTS, draws, ("zip-f",), trained_draws=RELEASED_DRAWS)
    return [head_row(result) for result in evaluate_heads(data, protocol)]


def report(rows: _Rows, baselines: _Rows) -> str:
    """All rows, and those of the baselines, as Markdown."""
    shots = [str(each) for each in SHOTS]
    lines = [
        "# MVTec-FS transistor: heads on AlphaCLIP ViT-L/14 features",
        "",
        f"Accuracy in %, mean ± standard error over draws: {DRAWS}, of `zip-f` {RELEASED_DRAWS}. 4 classes. "
        f"{_queries(rows)}.",
        "",
        *_both_directions(rows, shots, accuracy_cell),
        "",
        "## Supports that are not balanced",
        "",
        f"Each class has its own number of shots, {UNBALANCED}, in each draw.",
        "",
        *_both_directions(rows, [str(UNBALANCED)], accuracy_cell),
        "",
        "## The five released draws",
        "",
        f"Mean of the five draws of the paper's protocol, {FORWARD}; the paper's row where it is known.",
        "",
        *_released(rows, "head", PAPER),
        "",
        "## Probabilities",
        "",
        "Log-loss / expected calibration error (ten equal bins), of the answers of all draws together. The temperature "
        "of `zip-f` is 1 here; `calibrate` fits one.",
        "",
        *_both_directions(
            rows, [*shots, str(UNBALANCED)], lambda row: f"{row['log_loss']:.3f} / {row['calibration_error']:.3f}"
        ),
    ]
    if baselines:
        draws = sorted({len(row["draws"]) for row in baselines})
        lines += [
            "",
            "## Baselines",
            "",
            f"Mean ± standard error over {draws[-1]} draws, of those that are trained with PyTorch {draws[0]}.",
            "",
            *_both_directions(baselines, shots, accuracy_cell, "baseline"),
            "",
            "The five released draws:",
            "",
            *_released(baselines, "baseline", {}),
        ]
    return "\n".join(lines) + "\n"


def _queries(rows: _Rows) -> str:
    """How many queries each direction has, in words."""
    counts = {row["direction"]: row["queries"] for row in rows}
    return "; ".join(f"{direction}: {count} queries" for direction, count in counts.items())


def _both_directions(
    rows: _Rows, shots: Sequence[str], cell: Callable[[dict[str, Any]], str], column: str = "head"
) -> list[str]:
    cells = {(row["direction"], row[column], str(row["shots"])): cell(row) for row in rows}
    places = [(direction, each) for direction in (FORWARD, BACKWARD) for each in shots]
    header = [column, *(f"{direction}, {each}" for direction, each in places)]
    names = dict.fromkeys(row[column] for row in rows if str(row["shots"]) in shots)
    return table(header, ([name, *(cells.get((way, name, each), "") for way, each in places)] for name in names))


def _released(rows: _Rows, column: str, paper: dict[str, str]) -> list[str]:
    cells = {
        (row[column], row["shots"]): f"{np.mean(row['draws'][:RELEASED_DRAWS]):.2f}"
        for row in rows
        if row["direction"] == FORWARD
    }
    header = [
        column,
        *(f"{shots} shot{'s' * (shots > 1)}" for shots in SHOTS),
        *(["the paper, 1 / 3 / 5"] * bool(paper)),
    ]
    return table(
        header,
        (
            [name, *(cells[name, shots] for shots in SHOTS), *([paper.get(name, "")] if paper else [])]
            for name in dict.fromkeys(row[column] for row in rows)
        ),
    )


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, default=TRANSISTOR_FEATURES)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "heads_transistor.json")
    parser.add_argument("--draws", type=int, default=DRAWS, help="fewer, to see that it runs")
    parser.add_argument("--without-zip-f", action="store_true", help="leave out the head that trains")
    arguments = parser.parse_args()
    data = read_features(arguments.features)
    directions = ((FORWARD, data), (BACKWARD, data.exchanged()))
    rows: _Rows = []
    for measure in (training_free,) if arguments.without_zip_f else (training_free, trained):
        for direction, each in directions:
            found = measure(each, arguments.draws)
            rows += [{"direction": direction} | row for row in found]
            for row in found:
                print(f"{direction}: {row['head']}, {row['shots']}: {accuracy_cell(row)}", file=sys.stderr)
            # Training takes most of the time: what is there is written before.
            _write(rows, arguments.out)


def _write(rows: _Rows, out: Path) -> None:
    figures = {"draws": max(len(row["draws"]) for row in rows), "draws_of_trained": RELEASED_DRAWS, "rows": rows}
    write_result(out, "Accuracy in % of each head on MVTec-FS transistor, AlphaCLIP ViT-L/14 features", figures)
    path = out.with_name("baselines_transistor.json")
    baselines = json.loads(path.read_text())["figures"]["rows"] if path.is_file() else []
    out.with_suffix(".md").write_text(report(rows, baselines))


if __name__ == "__main__":
    main()
