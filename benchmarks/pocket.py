"""What is the pocket encoder worth?

Few shots of real and of rendered defects, by the project's own protocol: the pocket encoder beside the same network
with random weights and beside hand-made features, each through every head. And the time of one defect, stage by stage,
with each engine at hand. It ends with the bounds that were set, reached or not.

    python benchmarks/pocket.py
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from _machine import SHARED_DATA, describe, write_result
from _pocket import pocket_bundle
from handmade import GROUPS, describe_instances
from pocket_report import POCKET, judge, markdown
from pocket_speed import measure_speed
from pocket_trials import HELD_OUT, Job, Trial, evaluation_sets, load_trials, protocols, run_jobs

from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
from mvrec_edge.calib.instances.encoding import encode_instances
from mvrec_edge.runtime import Bundle, ViewPlan, open_engine

RANDOM = "random weights"


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a bundle; by default the shipped weights are exported")
    parser.add_argument(
        "--shared", type=Path, default=SHARED_DATA, help="folder of magnetic_tile and mvtec_fs_transistor"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "pocket.json")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3, help="how often random weights are drawn")
    parser.add_argument("--per-class", type=int, default=30, help="images of each held-out family")
    parser.add_argument("--steps", type=int, default=500, help="training steps of zip-f")
    parser.add_argument("--triplet", type=float, default=4.0, help="weight of zip-f's triplet loss; 0: without")
    parser.add_argument("--threads", type=int, default=2, help="of the engine")
    parser.add_argument("--jobs", type=int, default=2, help="evaluations at a time")
    parser.add_argument("--store", type=Path, help="keep embeddings here, so that a second run is quick")
    parser.add_argument(
        "--speed", action="store_true", help="measure times alone, and keep the accuracies that --out holds"
    )
    parser.add_argument("--quick", action="store_true", help="few draws and steps, to see that it runs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.draws, arguments.seeds, arguments.per_class, arguments.steps = 2, 1, 8, 20
    if arguments.speed:
        _measure_speed_again(arguments)
        return
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundles = _bundles(arguments.bundle, arguments.seeds, folder)
        trials = load_trials(arguments.shared, folder, per_class=arguments.per_class)
        bundle = bundles[0][2]
        # Before the processes that evaluate, which would take its cores.
        speed = _speed(bundle, next(trial for trial in trials if HELD_OUT in trial.parts), arguments)
        jobs: list[tuple[Job, str]] = []
        for trial in trials:
            jobs += _jobs(trial, bundles, arguments)
            _say(f"encoded: {', '.join(trial.parts)}, {time.monotonic() - began:.0f} s")
        rows = run_jobs(jobs, arguments.jobs, lambda line: _say(f"{line}, {time.monotonic() - began:.0f} s"))
    figures: dict[str, Any] = {
        "weights": str(bundle.weights),
        "architecture": bundle.architecture.name,
        "view_plan": str(ViewPlan.mso(size=bundle.architecture.image_size)),
        "draws": arguments.draws,
        "steps": arguments.steps,
        "took_s": round(time.monotonic() - began),
        "rows": rows,
        "speed": speed,
    }
    _write(figures, arguments)


def _measure_speed_again(arguments: argparse.Namespace) -> None:
    """Measures times on a machine that does nothing else, beside accuracies that are there."""
    figures = json.loads(arguments.out.read_text())["figures"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = pocket_bundle(arguments.bundle, folder)
        if str(bundle.weights) != figures["weights"]:
            raise SystemExit(f"{arguments.out} is of other weights ({figures['weights']}): leave out --speed")
        trials = load_trials(folder / "absent", folder, per_class=arguments.per_class)
        figures["speed"] = _speed(bundle, next(trial for trial in trials if HELD_OUT in trial.parts), arguments)
    _write(figures, arguments)


def _speed(bundle: Bundle, trial: Trial, arguments: argparse.Namespace) -> dict[str, Any]:
    shots = trial.labelled.draw(trial.shots, seed=0)
    parts = [instance for instance in trial.labelled.instances if instance not in shots.instances][:25]
    return measure_speed(bundle, shots, parts, threads=arguments.threads, rounds=1 if arguments.quick else 4)


def _write(figures: dict[str, Any], arguments: argparse.Namespace) -> None:
    figures["bounds"] = [
        {"bound": each.what, "figure": each.figure, "reached": each.reached} for each in judge(figures)
    ]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".md").write_text(markdown(figures, describe()))
    write_result(
        arguments.out, "What the pocket encoder is worth: accuracy in %, and milliseconds for a defect", figures
    )
    for judgement in judge(figures):
        print(judgement)


def _bundles(given: Path | None, seeds: int, folder: Path) -> list[tuple[str, int | None, Bundle]]:
    """The pocket encoder, and the same network with random weights, once for each seed."""
    from mvrec_edge.export import export_bundle, random_weights

    bundles: list[tuple[str, int | None, Bundle]] = [(POCKET, None, pocket_bundle(given, folder))]
    for seed in range(seeds):
        bundle = export_bundle(random_weights(bundles[0][2].architecture, seed), folder / f"random-{seed}.bundle")
        bundles.append((RANDOM, seed, bundle))
    return bundles


def _jobs(
    trial: Trial, bundles: list[tuple[str, int | None, Bundle]], arguments: argparse.Namespace
) -> list[tuple[Job, str]]:
    """Encodes a trial with every encoder, and says what is to be evaluated."""
    store = None if arguments.store is None else EmbeddingStore(arguments.store)
    jobs: list[tuple[Job, str]] = []
    for name, seed, bundle in bundles:
        plan = ViewPlan.mso(size=bundle.architecture.image_size)
        with warnings.catch_warnings(), open_engine("onnxruntime", bundle, threads=arguments.threads) as engine:
            warnings.simplefilter("ignore")
            embeddings = encode_instances(engine, trial.labelled, plan, store=store)
        # Training takes most of the time: of random weights, one seed has to do.
        asked = protocols(
            trial.shots,
            arguments.draws,
            arguments.steps,
            views=plan.count,
            thorough=not seed,
            triplet=arguments.triplet if name == POCKET else 0.0,
        )
        for part, data in evaluation_sets(trial, embeddings).items():
            jobs += [(Job(part, name, seed, data, protocol), suffix) for suffix, protocol in asked]
    features = describe_instances(trial.labelled)
    for name, columns in GROUPS.items():
        asked = protocols(trial.shots, arguments.draws, arguments.steps, views=1, thorough=True)
        for part, data in evaluation_sets(trial, features[..., columns]).items():
            jobs += [(Job(part, name, None, data, protocol), suffix) for suffix, protocol in asked]
    return jobs


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
