"""How well are unknown defects told from known ones?

Each class is left out of the support in turn; its queries are the unknown. On real AlphaCLIP features:

    python benchmarks/unknown.py

the other way round, the support drawn from the queries, so that what comes down the line looks a little different:

    python benchmarks/unknown.py --swapped --heads zip-c

on the training split of those features alone, what was not drawn being classified:

    python benchmarks/unknown.py --training-split --shots 1,2,3,4 --heads zip-c

and with a bundle on rendered defects or on a labelled set, what was not drawn being classified:

    python benchmarks/unknown.py --bundle pocket.bundle --heads zip-c
    python benchmarks/unknown.py --bundle pocket.bundle --labelled ../shared/data/magnetic_tile --heads zip-c
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from _machine import TRANSISTOR_FEATURES, write_result
from pocket_trials import largest_of_each_image

from mvrec_edge.calib import (
    EvaluateSettings,
    EvaluationSet,
    FineTuning,
    Protocol,
    UnknownResult,
    encode_sets,
    evaluate_unknown,
    read_features,
    read_labelled,
)
from mvrec_edge.calib.evaluation.unknown_tables import unknown_json, unknown_lines, unknown_markdown
from mvrec_edge.runtime import Bundle, open_engine, open_source
from mvrec_edge.testing import HELD_OUT_FAMILIES
from mvrec_edge.testing.dataset import write_dataset

RESULTS = Path(__file__).parent / "results"
RATE = 0.05

#: What was asked for: mean AUROC of the novelty over left-out classes and draws, by what is measured and shots.
BOUNDS = {
    "unknown": {3: 0.95, 5: 0.98},
    "unknown_swapped": {5: 0.90},
    "unknown_tiles": {5: 0.79},
}


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, default=TRANSISTOR_FEATURES)
    parser.add_argument("--training-split", action="store_true", help="leave the queries of --features aside")
    parser.add_argument("--swapped", action="store_true", help="draw from the queries of --features, classify the rest")
    parser.add_argument("--bundle", type=Path, help="encode rendered defects with this bundle, instead of --features")
    parser.add_argument(
        "--labelled",
        type=Path,
        help="with --bundle: a set in the place of rendered defects; of each image, its largest region",
    )
    parser.add_argument("--families", default=",".join(HELD_OUT_FAMILIES), help="with --bundle: what to render")
    parser.add_argument("--per-class", type=int, default=30, help="with --bundle: images of each family")
    parser.add_argument("--engine", default="onnxruntime", help="with --bundle")
    parser.add_argument("--threads", type=int, default=1, help="with --bundle")
    parser.add_argument("--shots", default="1,3,5")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--heads", default="auto,zip,zip-c")
    parser.add_argument("--steps", type=int, default=500, help="training steps of zip-f")
    parser.add_argument("--out", type=Path, help="by default benchmarks/results/unknown{,_swapped,...}.json")
    arguments = parser.parse_args()
    shots = tuple(int(count) for count in arguments.shots.split(","))
    protocol = Protocol(shots, arguments.draws, tuple(arguments.heads.split(",")), FineTuning(steps=arguments.steps))
    about: dict[str, Any] = {"shots": list(shots), "draws": arguments.draws, "steps": arguments.steps}
    data, kind, title = _features(arguments) if arguments.bundle is None else _encoded(arguments, protocol)
    about["data"] = title
    out = arguments.out or RESULTS / f"{kind}.json"
    done: list[int] = []

    def progress(count: int) -> None:
        done.append(count)
        total = len(shots) * arguments.draws * len(data.class_names)
        print(f"\r{len(done)} of {total} trials", end="" if len(done) < total else "\n", file=sys.stderr, flush=True)

    results = evaluate_unknown(data, protocol, RATE, progress)
    figures = unknown_json(results, data.class_names, RATE, about)
    if kind in BOUNDS:
        figures["bounds"] = _judge(results, BOUNDS[kind])
        for bound in figures["bounds"]:
            print(f"{bound['bound']}: {bound['figure']:.4f}, {'reached' if bound['reached'] else 'NOT reached'}")
    print("\n".join(unknown_lines(results, RATE)))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text(unknown_markdown(results, data.class_names, RATE, title))
    write_result(out, "How well unknown defects are told from known ones, each class left out in turn", figures)


def _features(arguments: argparse.Namespace) -> tuple[EvaluationSet, str, str]:
    """Stored features, as the file has them or otherwise; the name of the result, and its title."""
    data = read_features(arguments.features)
    title = "Unknown defects: MVTec-FS transistor, AlphaCLIP ViT-L/14 features"
    if arguments.training_split:
        data = dataclasses.replace(data, query=None, query_labels=None)
        return data, "unknown_training", f"{title}, the training split alone"
    if not arguments.swapped:
        return data, "unknown", title
    if data.query is None or data.query_labels is None:
        raise SystemExit(f"{arguments.features} has no queries to draw from")
    data = EvaluationSet(data.class_names, data.query, data.query_labels, data.support, data.support_labels)
    return data, "unknown_swapped", f"{title}, support and queries exchanged"


def _encoded(arguments: argparse.Namespace, protocol: Protocol) -> tuple[EvaluationSet, str, str]:
    """Encodes a labelled set, or rendered defects; what is not drawn is classified."""
    bundle = Bundle.load(arguments.bundle)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = arguments.labelled
        if path is None:
            path = Path(name) / "parts"
            write_dataset(path, families=arguments.families.split(","), per_class=arguments.per_class, seed=0)
        labelled = read_labelled(open_source(path))
        with open_engine(arguments.engine, bundle, threads=arguments.threads) as engine:
            data = encode_sets(engine, labelled, None, EvaluateSettings(protocol))
            encoder = engine.encoder_name
    if arguments.labelled is None:
        title = f"{arguments.per_class} rendered images of each of {arguments.families}"
        return data, "unknown_rendered", f"Unknown defects: {title}, {encoder}"
    kept = largest_of_each_image(labelled)
    data = EvaluationSet(data.class_names, data.support[kept], data.support_labels[kept])
    return data, "unknown_tiles", f"Unknown defects: {path.name}, the largest region of each image, {encoder}"


def _judge(results: list[UnknownResult], bounds: dict[int, float]) -> list[dict[str, Any]]:
    """What was asked for beside what was reached."""
    return [
        {
            "bound": f"novelty, {result.shots} shots: AUROC of at least {bounds[result.shots]}",
            "figure": round(float(result.auroc.mean()), 6),
            "reached": bool(result.auroc.mean() >= bounds[result.shots]),
        }
        for result in results
        if result.score == "novelty" and result.shots in bounds
    ]


if __name__ == "__main__":
    main()
