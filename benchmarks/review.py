"""Does the limit below which a human looks at a region keep what it promises, and how much goes to a human?

On real AlphaCLIP features, each of their two splits learned from in turn:

    python benchmarks/review.py

and with a bundle on a labelled set, whose draws leave the rest of the instances to be classified:

    python benchmarks/review.py --bundle pocket.bundle --labelled labelled/ --shots 10,14 --split image
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _machine import TRANSISTOR_FEATURES, write_result

from mvrec_edge.calib import (
    EvaluateSettings,
    EvaluationSet,
    Protocol,
    encode_sets,
    evaluate_review,
    read_features,
    read_labelled,
)
from mvrec_edge.calib.evaluation.review_tables import review_json, review_lines
from mvrec_edge.runtime import Bundle, open_engine, open_source

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, default=TRANSISTOR_FEATURES)
    parser.add_argument("--bundle", type=Path, help="encode --labelled with this bundle, instead of --features")
    parser.add_argument("--labelled", type=Path, help="with --bundle: the labelled set")
    parser.add_argument("--engine", default="onnxruntime", help="with --bundle")
    parser.add_argument("--threads", type=int, default=1, help="with --bundle")
    parser.add_argument("--split", default="region", help="region or image: what is drawn")
    parser.add_argument("--shots", default="3,5")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--heads", default="auto,zip,zip-c")
    parser.add_argument("--right-at-least", default="0.7,0.8,0.9,0.95", help="shares of right answers, such as 0.8,0.9")
    parser.add_argument("--out", type=Path, help="by default benchmarks/results/review{,_labelled}.json")
    arguments = parser.parse_args()
    if (arguments.bundle is None) != (arguments.labelled is None):
        parser.error("--bundle and --labelled go together")
    shots = tuple(int(count) for count in arguments.shots.split(","))
    protocol = Protocol(shots, arguments.draws, tuple(arguments.heads.split(",")), split=arguments.split)
    rates = [float(rate) for rate in arguments.right_at_least.split(",")]
    about: dict[str, Any] = {"shots": list(shots), "draws": arguments.draws, "split": arguments.split}
    tables = []
    for name, data, encoder in _sets(arguments, protocol):
        fitting = _fitting(data, protocol)
        for rate in rates:
            print(f"{name}, {100 * rate:g}%", file=sys.stderr)
            results = evaluate_review(data, fitting, rate)
            print("\n".join([f"\n{name}", *review_lines(results, rate)]))
            tables.append(review_json(results, rate, {"data": name, "encoder": encoder}))
    default = RESULTS / ("review.json" if arguments.bundle is None else "review_labelled.json")
    out = arguments.out or default
    out.parent.mkdir(parents=True, exist_ok=True)
    write_result(out, "What a human would look at, and how often the rest is right", about | {"tables": tables})


def _sets(arguments: argparse.Namespace, protocol: Protocol) -> Iterator[tuple[str, EvaluationSet, str]]:
    """What is evaluated, with its name and its encoder."""
    if arguments.bundle is None:
        data = read_features(arguments.features)
        if data.query is None or data.query_labels is None:
            sys.exit(f"{arguments.features} has no queries")
        known = arguments.features == TRANSISTOR_FEATURES
        name, encoder = ("MVTec-FS transistor", "AlphaCLIP ViT-L/14") if known else (arguments.features.name, "")
        yield name, data, encoder
        turned = EvaluationSet(data.class_names, data.query, data.query_labels, data.support, data.support_labels)
        yield f"{name}, learned from its queries", turned, encoder
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labelled = read_labelled(open_source(arguments.labelled))
        with open_engine(arguments.engine, Bundle.load(arguments.bundle), threads=arguments.threads) as engine:
            encoded = encode_sets(engine, labelled, None, EvaluateSettings(protocol))
            yield arguments.labelled.name, encoded, engine.encoder_name


def _fitting(data: EvaluationSet, protocol: Protocol) -> Protocol:
    """The protocol with those numbers of shots that every class has."""
    least = min(int((data.support_labels == place).sum()) for place in range(len(data.class_names)))
    return dataclasses.replace(protocol, shots=tuple(count for count in protocol.shots if count <= least))


if __name__ == "__main__":
    main()
