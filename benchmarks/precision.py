"""What does each precision cost in accuracy, and what does it gain in time?

Accuracy is the certificate that `mvrec-edge export --precision fp32,fp16,bf16,int8 --calibration SUPPORT` wrote into
the bundle, and the golden views run again here; time is one batch on every engine that runs the precision, beside
PyTorch eager of the same weights in the same run.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from _machine import write_result

from mvrec_edge.bench.bench import measure_bundle
from mvrec_edge.bench.budget import Budget
from mvrec_edge.bench.candidates import EngineCandidate
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.bundle import limits_of
from mvrec_edge.runtime.engines.choice import installed_engines
from mvrec_edge.runtime.engines.verification import verify_bundle


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "precision.json")
    parser.add_argument("--batch", type=int, default=9)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each engine")
    parser.add_argument("--checkpoint", type=Path, help="weights of a bundle that was made from a checkpoint")
    arguments = parser.parse_args()
    bundle = Bundle.load(arguments.bundle)
    engines = installed_engines()
    verdicts = {(v.engine, v.precision): v for v in verify_bundle(bundle, engines)}
    runnable = [
        EngineCandidate(name, precision, provider)
        for name, provider in engines
        for precision in bundle.precisions
        if verdicts[name if provider is None else f"{name}:{provider}", precision].passed is not None
    ]
    budget = Budget(batches=(arguments.batch,), rounds=arguments.rounds, seconds=arguments.seconds)
    record = measure_bundle(bundle, runnable, budget, checkpoint=arguments.checkpoint)
    figures: dict[str, Any] = {
        "architecture": bundle.architecture.name,
        "weights": str(bundle.weights),
        "certificates": [_certificate(bundle, precision) for precision in bundle.precisions],
        "golden": [
            {
                "engine": verdict.engine,
                "precision": verdict.precision,
                "cosine_to_export": verdict.cosine,
                "cosine_to_float32": verdict.reference_cosine,
                "passed": verdict.passed,
                "reason": verdict.reason,
            }
            for verdict in verdicts.values()
        ],
        "batch": arguments.batch,
        "load_before": record["load_before"],
        "ceilings": record["ceilings"],
        "candidates": record["candidates"],
        "unavailable": record["unavailable"],
    }
    for row in figures["certificates"]:
        print(row)
    for row in record["candidates"]:
        print(
            row["candidate"],
            *(f"{cell['p50_ms']:.0f} ms, {cell['times_faster_than_reference']}" for cell in row["cells"]),
        )
    write_result(arguments.out, f"Accuracy and time of each precision, {bundle.architecture.name}", figures)


def _certificate(bundle: Bundle, precision: str) -> dict[str, Any]:
    graph = bundle.manifest.graph(precision)
    checks, labels = graph.judged_checks, graph.labels
    return {
        "precision": precision,
        "megabytes": round(bundle.manifest.graph_bytes(precision) / 1e6, 1),
        "judged_on": graph.judged or "seeded views",
        "calibrated_on": graph.calibrated_on,
        "worst_cosine": min(check.worst_cosine for check in checks),
        "mean_cosine": sum(check.mean_cosine for check in checks) / len(checks),
        "limit": limits_of(precision).cosine,
        "instances": None if labels is None else labels.instances,
        "flips": None if labels is None else labels.flips,
        "mean_margin_lost": None if labels is None else labels.mean_margin_lost,
        "worst_margin_lost": None if labels is None else labels.worst_margin_lost,
    }


if __name__ == "__main__":
    main()
