"""How well are unknown defects told from known ones?

Each class is left out of the support in turn; its queries are the unknown. On real AlphaCLIP features:

    python benchmarks/unknown.py

on the training split of those features alone, what was not drawn being classified, which the score was chosen on:

    python benchmarks/unknown.py --training-split --shots 1,2,3,4 --draws 20 --heads zip,zip-c

and with a bundle on rendered defects, whose draws leave the rest of the instances to be classified:

    python benchmarks/unknown.py --bundle pocket.bundle --families ring_stain,radial_cracks,...
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

#: What was asked for: mean AUROC of the novelty over left-out classes and draws, by shots.
BOUNDS = {3: 0.95, 5: 0.98}


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, default=TRANSISTOR_FEATURES)
    parser.add_argument("--training-split", action="store_true", help="leave the queries of --features aside")
    parser.add_argument("--bundle", type=Path, help="encode rendered defects with this bundle, instead of --features")
    parser.add_argument("--families", default=",".join(HELD_OUT_FAMILIES), help="with --bundle: what to render")
    parser.add_argument("--per-class", type=int, default=30, help="with --bundle: images of each family")
    parser.add_argument("--engine", default="onnxruntime", help="with --bundle")
    parser.add_argument("--threads", type=int, default=1, help="with --bundle")
    parser.add_argument("--shots", default="1,3,5")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--heads", default="auto,zip,zip-c,zip-f")
    parser.add_argument("--steps", type=int, default=500, help="training steps of zip-f")
    parser.add_argument("--out", type=Path, help="by default benchmarks/results/unknown{,_training,_rendered}.json")
    arguments = parser.parse_args()
    shots = tuple(int(count) for count in arguments.shots.split(","))
    protocol = Protocol(shots, arguments.draws, tuple(arguments.heads.split(",")), FineTuning(steps=arguments.steps))
    about: dict[str, Any] = {"shots": list(shots), "draws": arguments.draws, "steps": arguments.steps}
    if arguments.bundle is None:
        data = read_features(arguments.features)
        if arguments.training_split:
            data = dataclasses.replace(data, query=None, query_labels=None)
        title = "Unknown defects: MVTec-FS transistor, AlphaCLIP ViT-L/14 features"
        queries = 0 if data.query_labels is None else len(data.query_labels)
        about |= {"data": f"{len(data.support_labels)} support instances and {queries or 'no'} queries"}
        title += ", the training split alone" if arguments.training_split else ""
        out = arguments.out or RESULTS / f"unknown{'_training' if arguments.training_split else ''}.json"
    else:
        data, encoder = _rendered(arguments, protocol)
        title = f"Unknown defects: {arguments.per_class} rendered images of each of {arguments.families}"
        about |= {"data": title, "encoder": encoder}
        out = arguments.out or RESULTS / "unknown_rendered.json"
    done: list[int] = []

    def progress(count: int) -> None:
        done.append(count)
        total = len(shots) * arguments.draws * len(data.class_names)
        print(f"\r{len(done)} of {total} trials", end="" if len(done) < total else "\n", file=sys.stderr, flush=True)

    results = evaluate_unknown(data, protocol, RATE, progress)
    figures = unknown_json(results, data.class_names, RATE, about)
    if data.query is not None:
        figures["bounds"] = _judge(results)
        for bound in figures["bounds"]:
            print(f"{bound['bound']}: {bound['figure']:.4f}, {'reached' if bound['reached'] else 'NOT reached'}")
    print("\n".join(unknown_lines(results, RATE)))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text(unknown_markdown(results, data.class_names, RATE, title))
    write_result(out, "How well unknown defects are told from known ones, each class left out in turn", figures)


def _rendered(arguments: argparse.Namespace, protocol: Protocol) -> tuple[EvaluationSet, str]:
    """Renders defects and encodes all of them; what is not drawn is classified."""
    bundle = Bundle.load(arguments.bundle)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        families = arguments.families.split(",")
        write_dataset(Path(name) / "parts", families=families, per_class=arguments.per_class, seed=0)
        labelled = read_labelled(open_source(Path(name) / "parts"))
        with open_engine(arguments.engine, bundle, threads=arguments.threads) as engine:
            return encode_sets(engine, labelled, None, EvaluateSettings(protocol)), engine.encoder_name


def _judge(results: list[UnknownResult]) -> list[dict[str, Any]]:
    """What was asked for beside what was reached."""
    return [
        {
            "bound": f"novelty, {result.shots} shots: AUROC of at least {BOUNDS[result.shots]}",
            "figure": round(float(result.auroc.mean()), 6),
            "reached": bool(result.auroc.mean() >= BOUNDS[result.shots]),
        }
        for result in results
        if result.score == "novelty" and result.shots in BOUNDS
    ]


if __name__ == "__main__":
    main()
