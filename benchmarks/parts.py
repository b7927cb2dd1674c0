"""What does one support cache for several parts cost?

Magnetic tiles and two rendered lines, as three parts of one cache, with the encoder that comes with the package: each
part against its own cache, with the part given and chosen by the embedding, and against one head over all classes.

    python benchmarks/parts.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _machine import SHARED_DATA, write_result
from pocket_trials import HELD_OUT, HELD_OUT_MIXED, TILES_LARGEST, evaluation_sets, load_trials

from mvrec_edge.calib import EvaluationSet, Protocol
from mvrec_edge.calib.evaluation.part_evaluation import evaluate_parts
from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
from mvrec_edge.calib.instances.encoding import encode_instances
from mvrec_edge.pocket import POCKET_BUNDLE
from mvrec_edge.runtime import Bundle, ViewPlan, open_engine

# The sets that are joined, by the name of their part; each has one region on an image.
_PARTS = {TILES_LARGEST: "tile", HELD_OUT: "line", HELD_OUT_MIXED: "mixed"}


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=POCKET_BUNDLE)
    parser.add_argument("--shared", type=Path, default=SHARED_DATA, help="folder of magnetic_tile")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "parts.json")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 3, 5])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--per-class", type=int, default=15, help="images of each rendered family")
    parser.add_argument("--threads", type=int, default=2, help="of the engine")
    parser.add_argument("--store", type=Path, help="keep embeddings here, so that a second run is quick")
    arguments = parser.parse_args()
    began = time.monotonic()
    sets = _encoded(arguments, began)
    protocol = Protocol(tuple(arguments.shots), arguments.draws, ("auto",))
    results = evaluate_parts(sets, protocol, lambda _: print(f"a draw, {time.monotonic() - began:.0f} s", flush=True))
    rows = [result.to_dict() for result in results]
    for row in rows:
        print({name: value for name, value in row.items() if name != "draws"})
    figures: dict[str, Any] = {
        "weights": str(Bundle.load(arguments.bundle).weights),
        "parts": {
            name: {"classes": len(data.class_names), "instances": len(data.support_labels)}
            for name, data in sets.items()
        },
        "draws": arguments.draws,
        "rows": rows,
    }
    write_result(arguments.out, "What one support cache for several parts costs: accuracy in %", figures)


def _encoded(arguments: argparse.Namespace, began: float) -> dict[str, EvaluationSet]:
    sets: dict[str, EvaluationSet] = {}
    store = None if arguments.store is None else EmbeddingStore(arguments.store)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_engine("onnxruntime", Bundle.load(arguments.bundle), threads=arguments.threads) as engine,
    ):
        plan = ViewPlan.mso(size=engine.image_size)
        for trial in load_trials(arguments.shared, Path(folder), per_class=arguments.per_class):
            for table, places in trial.parts.items():
                if table not in _PARTS:
                    continue
                labelled = trial.labelled.with_instances(trial.labelled.instances[place] for place in places)
                alone = type(trial)(trial.path, labelled, trial.shots, {table: np.arange(len(places))})
                sets[_PARTS[table]] = evaluation_sets(alone, encode_instances(engine, labelled, plan, store=store))[
                    table
                ]
                print(f"encoded: {table}, {time.monotonic() - began:.0f} s", flush=True)
    return sets


if __name__ == "__main__":
    main()
