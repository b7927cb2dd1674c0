"""What do windows that fit the images gain?

Real defects on small images are encoded once for each set of window sizes, with the recipe `mso`, and evaluated by the
project's own protocol: the same draws for each set.

    nice -n 10 python benchmarks/windows.py
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from _machine import SHARED_DATA, write_result

from mvrec_edge.calib import EvaluationSet, HeadResult, Protocol, evaluate_heads, read_labelled
from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
from mvrec_edge.calib.instances.encoding import encode_instances
from mvrec_edge.calib.instances.window_fit import suggested_sizes, window_fit
from mvrec_edge.pocket import POCKET_BUNDLE
from mvrec_edge.runtime import Bundle, ViewPlan, open_engine, open_source

PAPER = (256, 384, 512)
SETS = ((128, 192, 256), PAPER, (64, 96, 128))
HEADS = ("auto", "zip", "zip-c")


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--bundle", type=Path, default=POCKET_BUNDLE, help="a bundle; by default the finished one of the pocket encoder"
    )
    parser.add_argument("--labelled", type=Path, default=SHARED_DATA / "magnetic_tile", help="labelled set")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "windows.json")
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1, help="of the engine")
    parser.add_argument("--store", type=Path, help="keep embeddings here, so that a second run is quick")
    arguments = parser.parse_args()
    labelled = read_labelled(open_source(arguments.labelled))
    regions = [instance.region for instance in labelled.instances]
    names = labelled.class_names
    labels = np.array([names.index(instance.label) for instance in labelled.instances], np.int64)
    protocol = Protocol((arguments.shots,), arguments.draws, HEADS)
    store = None if arguments.store is None else EmbeddingStore(arguments.store)
    rows: list[dict[str, Any]] = []
    found: dict[tuple[int, ...], list[HeadResult]] = {}
    bundle = Bundle.load(arguments.bundle)
    with open_engine("onnxruntime", bundle, threads=arguments.threads) as engine:
        paper = ViewPlan.mso(size=engine.image_size)
        for sizes in SETS:
            began = time.monotonic()
            plan = paper.with_window_sizes(sizes)
            embeddings = encode_instances(engine, labelled, plan, store=store)
            print(f"encoded: {plan}, {time.monotonic() - began:.0f} s", file=sys.stderr)
            found[sizes] = evaluate_heads(EvaluationSet(names, embeddings, labels), protocol)
    for sizes, results in found.items():
        fit = window_fit(regions, paper.with_window_sizes(sizes))
        for result, base in zip(results, found[PAPER], strict=True):
            gained = 100 * (np.array(result.accuracies) - base.accuracies)
            rows.append(
                {
                    "window_sizes": list(sizes),
                    "outside_percent": round(100 * fit.outside, 1),
                    "larger": fit.larger,
                    "head": result.head,
                    "mean": round(100 * result.mean, 2),
                    "spread": round(100 * result.spread, 2),
                    "gained": round(float(gained.mean()), 2),
                    "gained_spread": round(float(gained.std()), 2),
                    "draws_better": int((gained > 0).sum()),
                    "draws_worse": int((gained < 0).sum()),
                }
            )
    print(f"{'windows':>16}{'outside':>9}{'larger':>8}  {'head':6}{'accuracy':>10}{'spread':>8}{'gained':>8}")
    for row in rows:
        print(
            f"{','.join(map(str, row['window_sizes'])):>16}{row['outside_percent']:>8}%{row['larger']:>8}  "
            f"{row['head']:6}{row['mean']:>9}%{row['spread']:>8}{row['gained']:>8}"
        )
    suggestion = suggested_sizes(regions, paper)
    figures = {
        "weights": str(bundle.weights),
        "set": arguments.labelled.name,
        "instances": len(regions),
        "classes": len(names),
        "shots": arguments.shots,
        "draws": arguments.draws,
        "suggested": None if suggestion is None else list(suggestion),
        "rows": rows,
    }
    write_result(arguments.out, "Windows of several sizes on small images: accuracy in %", figures)


if __name__ == "__main__":
    main()
