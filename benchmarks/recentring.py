"""What is gained, and lost, where the centre follows the line?

Regions come one after another, drawn with replacement from the queries: in random order, and with four in five of one
class, each class in turn. On real AlphaCLIP features, and the same the other way round, whose support looks a little
different:

    python benchmarks/recentring.py
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _machine import TRANSISTOR_FEATURES, write_result

from mvrec_edge.calib import EvaluationSet, read_features
from mvrec_edge.calib.evaluation.protocol import draw
from mvrec_edge.calib.evaluation.tables import table_row
from mvrec_edge.runtime.classifier.recentring import Recentring
from mvrec_edge.runtime.heads import Head, head_class, open_head

RESULTS = Path(__file__).parent / "results"
HEADS = ("average", "zip-vw", "zip-w", "zip-c")
SHARE = 0.8
_COLUMNS = ("random, fixed", "random, following", "random, moved", "one class, fixed", "one class, following")


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, default=TRANSISTOR_FEATURES)
    parser.add_argument("--shots", default="3,5")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--regions", type=int, default=100, help="regions in a stream")
    parser.add_argument("--heads", default=",".join(HEADS))
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--out", type=Path, default=RESULTS / "recentring.json")
    arguments = parser.parse_args()
    forward = read_features(arguments.features)
    if forward.query is None or forward.query_labels is None:
        raise SystemExit(f"{arguments.features} has no queries")
    swapped = EvaluationSet(
        forward.class_names, forward.query, forward.query_labels, forward.support, forward.support_labels
    )
    asked = [
        (name, data, shots, head, arguments)
        for name, data in (("support to queries", forward), ("queries to support", swapped))
        for shots in (int(each) for each in arguments.shots.split(","))
        for head in arguments.heads.split(",")
    ]
    rows = []
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        for row in pool.map(_row, asked):
            rows.append(row)
            print(", ".join(f"{key} {value}" for key, value in row.items()), file=sys.stderr, flush=True)
    figures = {"regions": arguments.regions, "draws": arguments.draws, "share": SHARE, "rows": rows}
    arguments.out.with_suffix(".md").write_text(_markdown(rows, arguments))
    write_result(arguments.out, "Accuracy in % with a fixed centre and with one that follows the line", figures)


def _row(asked: tuple[str, EvaluationSet, int, str, argparse.Namespace]) -> dict[str, Any]:
    direction, data, shots, head, arguments = asked
    return {"direction": direction, "shots": shots, "head": head, **_measure(data, shots, head, arguments)}


def _measure(data: EvaluationSet, shots: int, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, list[float]] = {}
    for seed in range(arguments.draws):
        drawn = draw(data, shots, seed, "region")
        head = open_head(dataclasses.replace(drawn.cache, head=head_class(name).settings()))
        generator = np.random.default_rng(seed)
        for favoured in (None, *range(len(data.class_names))):
            places = _stream(drawn.labels, favoured, arguments.regions, generator)
            fixed, following, moved = _run(head, np.asarray(drawn.queries, np.float32), drawn.labels, places)
            kind = "random" if favoured is None else "one class"
            for key, value in (("fixed", fixed), ("following", following), ("moved", moved)):
                found.setdefault(f"{kind}, {key}", []).append(value)
    return {key: round(float(np.mean(values)), 3) for key, values in found.items()} | {
        "one class, most lost": round(
            float(np.max(np.subtract(found["one class, fixed"], found["one class, following"]))), 3
        )
    }


def _stream(
    labels: npt.NDArray[np.int64], favoured: int | None, count: int, generator: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Which queries come, int `[count]`."""
    if favoured is None:
        return generator.integers(0, len(labels), count)
    own, others = np.flatnonzero(labels == favoured), np.flatnonzero(labels != favoured)
    return np.where(generator.random(count) < SHARE, generator.choice(own, count), generator.choice(others, count))


def _run(
    head: Head, queries: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], places: npt.NDArray[np.intp]
) -> tuple[float, float, float]:
    """Accuracy with a fixed centre and with one that follows, in %, and how far that has moved at the end."""
    recentring = Recentring(head)
    names = head.cache.class_names
    fixed = head.logits(queries).argmax(axis=1)
    right = 0
    for place in places:
        label = int(head.logits(queries[[place]], move=recentring.move().vector)[0].argmax())
        recentring.see(queries[[place]], [names[label]], [names[fixed[place]]], [False])
        right += label == labels[place]
    return (
        100 * float((fixed[places] == labels[places]).mean()),
        100 * right / len(places),
        recentring.move().length,
    )


def _markdown(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> str:
    lines = [
        "# Recentring: MVTec-FS transistor, AlphaCLIP ViT-L/14 features",
        "",
        f"Streams of {arguments.regions} regions, mean of {arguments.draws} draws. Accuracy in %, with a fixed centre "
        f"and with one that follows the line: in random order, and where {100 * SHARE:g}% of the regions are of one "
        "class, each class in turn. Moved: how far the centre is at the end of a stream in random order, in standard "
        "deviations of the class means.",
        "",
        *table_row(["direction", "shots", "head", *_COLUMNS], header=True),
    ]
    for row in rows:
        cells = (f"{row[column]:.2f}" for column in _COLUMNS)
        lines += table_row([row["direction"], str(row["shots"]), row["head"], *cells])
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
