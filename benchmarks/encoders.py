"""Which of the encoders that need no checkpoint is worth what: pocket, lite, and both side by side?

Accuracy on the magnetic tiles, the largest region of each image: seeded draws of some shots a class, and the rest is
classified. Embeddings are kept in a folder that git ignores, so that other heads are a matter of seconds. Both side by
side are the two embeddings of a view, each of unit length, as one. And for each encoder and engine, in a process of its
own: the time of one defect, stage by stage, and the memory.

    python benchmarks/encoders.py --heads auto,zip,zip-c
    python benchmarks/encoders.py --heads zip-w --keep-times

Needs the extras export and lite, where the store does not hold the bundle of lite yet.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _machine import SHARED_DATA, write_result
from pocket_speed import measure_speed
from pocket_trials import TILES_LARGEST, largest_of_each_image

from mvrec_edge.bench.candidates import parse_candidates
from mvrec_edge.bench.worker import peak_memory
from mvrec_edge.calib import EvaluationSet, Protocol, evaluate_heads, read_labelled
from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
from mvrec_edge.calib.instances.encoding import encode_instances
from mvrec_edge.pocket import POCKET_BUNDLE
from mvrec_edge.runtime import Bundle, ViewPlan, open_engine, open_source
from mvrec_edge.testing.dataset import write_demo_line

POCKET, LITE, BOTH = "pocket", "lite", "both side by side"
ENGINES = ("onnxruntime", "openvino")
# Of each class of the rendered line: as many as calibrate the engine, and some to classify.
_SHOTS, _CLASSIFIED = 3, 10


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", default="auto,zip,zip-c", help="names of heads, as calibrate --head takes them")
    parser.add_argument("--shots", default="1,3,5,10", help="instances of each class")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2, help="of the engines")
    parser.add_argument("--rounds", type=int, default=2, help="over the defects whose time is taken")
    parser.add_argument("--shared", type=Path, default=SHARED_DATA, help="folder of magnetic_tile")
    parser.add_argument("--store", type=Path, default=Path(__file__).parent / ".encoders", help="for embeddings")
    parser.add_argument("--keep-times", action="store_true", help="keep the times that --out holds")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "encoders.json")
    parser.add_argument("--one", nargs=3, metavar=("BUNDLE", "CANDIDATE", "LINE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_one(*arguments.one, arguments.threads, arguments.rounds)))
        return
    bundles = {POCKET: Bundle.load(POCKET_BUNDLE), LITE: _lite(arguments.store / "lite.bundle")}
    known = json.loads(arguments.out.read_text())["figures"]["times"] if arguments.out.exists() else []
    figures = {
        "set": TILES_LARGEST,
        "weights": {name: str(bundle.weights) for name, bundle in bundles.items()},
        "gflop_per_view": {name: round(each.architecture.flops_per_view / 1e9, 3) for name, each in bundles.items()},
        "draws": arguments.draws,
        "accuracy": _accuracies(bundles, arguments),
        "times": known,
    }
    question = "Which of the encoders that need no checkpoint is worth what?"
    write_result(arguments.out, question, figures)
    if not arguments.keep_times:
        figures["times"] = _times(bundles, arguments)
        write_result(arguments.out, question, figures)


def _lite(path: Path) -> Bundle:
    """The bundle of EfficientNet-Lite0, exported by the first call; int8 is written where it keeps its limits."""
    if not path.exists():
        from mvrec_edge.export import export_bundle, read_lite

        path.parent.mkdir(parents=True, exist_ok=True)
        export_bundle(read_lite(), path, precisions=("fp32", "int8"), left_out=lambda error: print(error))
    return Bundle.load(path)


def _accuracies(bundles: Mapping[str, Bundle], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    labelled = read_labelled(open_source(arguments.shared / "magnetic_tile"))
    part = labelled.with_instances(labelled.instances[place] for place in largest_of_each_image(labelled))
    names = part.class_names
    labels = np.array([names.index(instance.label) for instance in part.instances], np.int64)
    store = EmbeddingStore(arguments.store)
    embeddings: dict[str, npt.NDArray[np.float32]] = {}
    for name, bundle in bundles.items():
        with open_engine("onnxruntime", bundle, threads=arguments.threads) as engine:
            plan = ViewPlan.mso(size=bundle.architecture.image_size)
            embeddings[name] = encode_instances(engine, part, plan, store=store)
    embeddings[BOTH] = np.concatenate(
        [each / np.linalg.norm(each, axis=-1, keepdims=True) for each in embeddings.values()], axis=-1
    )
    shots = tuple(int(each) for each in arguments.shots.split(","))
    protocol = Protocol(shots, arguments.draws, tuple(arguments.heads.split(",")))
    rows = []
    for name, values in embeddings.items():
        for result in evaluate_heads(EvaluationSet(names, values, labels), protocol):
            draws = [round(100 * value, 3) for value in result.accuracies]
            mean, spread = round(float(np.mean(draws)), 2), round(float(np.std(draws)), 2)
            rows.append({"encoder": name, "head": result.head, "shots": result.shots, "mean": mean, "spread": spread})
            print(rows[-1], flush=True)
            rows[-1]["draws"] = draws
    return rows


def _times(bundles: Mapping[str, Bundle], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Encoders in turn for each engine and precision, each in a process of its own."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        write_demo_line(Path(name), per_class=_SHOTS + 2, seed=0)
        for engine in ENGINES:
            for encoder, bundle in bundles.items():
                for precision in bundle.precisions:
                    words = ("--one", str(bundle.path), f"{engine}/{precision}", name)
                    counts = ("--threads", str(arguments.threads), "--rounds", str(arguments.rounds))
                    child = [sys.executable, __file__, *words, *counts]
                    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
                    said = subprocess.run(child, capture_output=True, text=True, check=True, env=environment)  # noqa: S603 (our own)
                    rows.append({"encoder": encoder} | json.loads(said.stdout.splitlines()[-1]))
                    print(rows[-1], flush=True)
    return rows


def _one(bundle: str, candidate: str, line: str, threads: int, rounds: int) -> dict[str, Any]:
    """The times of one encoder with one engine, and the most memory that this process held."""
    labelled = read_labelled(open_source(Path(line)))
    shots = labelled.draw(_SHOTS, seed=0)
    parts = [instance for instance in labelled.instances if instance not in shots.instances][:_CLASSIFIED]
    loaded = Bundle.load(bundle)
    wanted = parse_candidates([candidate], loaded.precisions)
    measured = measure_speed(loaded, shots, parts, threads=threads, rounds=rounds, candidates=wanted)
    peak = peak_memory()
    return {
        "candidate": candidate,
        "rows": measured["rows"],
        "unavailable": measured["unavailable"],
        "peak_mb": None if peak is None else round(peak / 1e6),
    }


if __name__ == "__main__":
    main()
