"""How does latency grow with the batch, from one view to two defects, with each engine and in PyTorch as released?

One run of `mvrec-edge bench`, by the same functions. The bundle is ViT-L/14:
`mvrec-edge export --random-weights ViT-L/14 --out BUNDLE`; drawn weights take the time that trained ones take.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _machine import write_result

from mvrec_edge.bench.bench import measure_bundle
from mvrec_edge.bench.budget import BATCHES, Budget
from mvrec_edge.bench.candidates import default_candidates, parse_candidates
from mvrec_edge.bench.tables import markdown
from mvrec_edge.runtime import Bundle


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "batch_size.json")
    parser.add_argument("--batch", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument("--engine", action="append", help="as for mvrec-edge bench; by default all that open")
    parser.add_argument("--checkpoint", type=Path, help="weights of a bundle that was made from a checkpoint")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out")
    parser.add_argument("--rounds", type=int, default=Budget.rounds)
    parser.add_argument("--seconds", type=float, default=Budget.seconds, help="for each engine at each batch size")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    bundle = Bundle.load(arguments.bundle)
    precisions = bundle.precisions
    record = measure_bundle(
        bundle,
        parse_candidates(arguments.engine, precisions) if arguments.engine else default_candidates(precisions),
        Budget(
            batches=tuple(arguments.batch),
            rounds=arguments.rounds,
            seconds=arguments.seconds,
            threads=arguments.threads,
        ),
        torch=not arguments.no_torch,
        checkpoint=arguments.checkpoint,
    )
    print(markdown(record))
    wanted = ("bundle", "settings", "load_before", "took_s", "reference", "ceilings", "candidates", "unavailable")
    question = f"Latency over batch size of {bundle.architecture.name}"
    write_result(arguments.out, question, {name: record[name] for name in wanted})


if __name__ == "__main__":
    main()
