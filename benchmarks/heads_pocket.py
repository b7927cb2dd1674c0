"""How accurate is each training-free head on embeddings of the pocket encoder, and what are its probabilities worth?

The protocol of `heads.py`, 20 draws, on the magnetic tiles and on rendered families that the encoder has not been
trained on. Of the tiles: the largest region of each image, and all regions, drawn one by one and image by image.
The sets are those of `pocket.py`, which compares encoders; this compares heads.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _machine import SHARED_DATA, write_result
from head_rows import accuracy_cell, head_row, table
from pocket_trials import HELD_OUT, HELD_OUT_MIXED, TILES, TILES_LARGEST, Trial, evaluation_sets, load_trials

from mvrec_edge.calib import EvaluationSet, Protocol, evaluate_heads
from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
from mvrec_edge.calib.instances.encoding import encode_instances
from mvrec_edge.pocket import POCKET_BUNDLE
from mvrec_edge.runtime import Bundle, Engine, ViewPlan, open_engine

HEADS, DRAWS = ("auto", "zip-w", "zip-vw", "zip-c", "zip"), 20
#: Sets, shots, and how shots are drawn (`Protocol.split`).
MEASURED: tuple[tuple[str, tuple[int, ...], str], ...] = (
    (TILES_LARGEST, (1, 3, 5, 10), "region"),
    (TILES, (5,), "region"),
    (TILES, (5,), "image"),
    (HELD_OUT, (5,), "region"),
    (HELD_OUT_MIXED, (5,), "region"),
)


def encoded_sets(trials: list[Trial], engine: Engine, store: EmbeddingStore | None) -> dict[str, EvaluationSet]:
    """The sets that are measured, by name; those of other names are not encoded."""
    wanted = {name for name, _, _ in MEASURED}
    found: dict[str, EvaluationSet] = {}
    for trial in trials:
        if wanted.intersection(trial.parts):
            embeddings = encode_instances(engine, trial.labelled, ViewPlan.mso(size=engine.image_size), store=store)
            found |= evaluation_sets(trial, embeddings)
    return found


def measured(sets: dict[str, EvaluationSet], draws: int) -> list[dict[str, Any]]:
    """Rows of every set that is there."""
    rows = []
    for name, shots, split in MEASURED:
        if name in sets:
            results = evaluate_heads(sets[name], Protocol(shots, draws, HEADS, split=split))
            rows += [head_row(result, set=name, split=split) for result in results]
    return rows


def report(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown: accuracies, then probabilities."""
    draws = len(rows[0]["draws"])
    lines = [
        "# Heads on embeddings of the pocket encoder",
        "",
        f"Accuracy in %, mean ± standard error over {draws} draws; every region that was not drawn is classified. "
        '"By image": all regions of an image are drawn together, and none of them is classified.',
        "",
        *_by_head(rows, accuracy_cell),
        "",
        "Log-loss / expected calibration error (ten equal bins), of the answers of all draws together:",
        "",
        *_by_head(rows, lambda row: f"{row['log_loss']:.3f} / {row['calibration_error']:.3f}"),
    ]
    return "\n".join(lines) + "\n"


def _by_head(rows: list[dict[str, Any]], cell: Any) -> list[str]:
    places = dict.fromkeys((row["set"], row["split"], row["shots"]) for row in rows)
    cells = {(row["set"], row["split"], row["shots"], row["head"]): cell(row) for row in rows}
    named = (
        [
            f"{name}{', by image' if split == 'image' else ''}",
            str(shots),
            *(cells[name, split, shots, head] for head in HEADS),
        ]
        for name, split, shots in places
    )
    return table(["set", "shots", *HEADS], named)


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=POCKET_BUNDLE, help="by default the one that is shipped")
    parser.add_argument("--shared", type=Path, default=SHARED_DATA, help="folder of magnetic_tile")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "heads_pocket.json")
    parser.add_argument("--draws", type=int, default=DRAWS, help="fewer, to see that it runs")
    parser.add_argument("--per-class", type=int, default=30, help="images of each held-out family")
    parser.add_argument("--threads", type=int, default=2, help="of the engine")
    parser.add_argument("--store", type=Path, help="keep embeddings here, so that a second run is quick")
    arguments = parser.parse_args()
    began = time.monotonic()
    bundle = Bundle.load(arguments.bundle)
    store = None if arguments.store is None else EmbeddingStore(arguments.store)
    with tempfile.TemporaryDirectory() as name, open_engine("onnxruntime", bundle, threads=arguments.threads) as engine:
        sets = encoded_sets(load_trials(arguments.shared, Path(name), per_class=arguments.per_class), engine, store)
    print(f"encoded: {time.monotonic() - began:.0f} s", file=sys.stderr)
    rows = measured(sets, arguments.draws)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".md").write_text(report(rows))
    figures = {
        "weights": str(bundle.weights),
        "draws": arguments.draws,
        "instances": {name: len(data.support_labels) for name, data in sets.items()},
        "rows": rows,
    }
    write_result(arguments.out, "Accuracy in % of each training-free head on embeddings of the pocket encoder", figures)
    print(report(rows))


if __name__ == "__main__":
    main()
