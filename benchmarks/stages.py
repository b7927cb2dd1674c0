"""Where does the time of one defect go: decoding, cutting views, encoding, classifying?

One run of `mvrec-edge bench` at the 27 views of a defect, by the same functions. The bundle is ViT-L/14, as for
`batch_size.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _machine import write_result

from mvrec_edge.bench.bench import measure_bundle
from mvrec_edge.bench.budget import Budget
from mvrec_edge.bench.candidates import default_candidates, parse_candidates
from mvrec_edge.bench.tables import markdown
from mvrec_edge.runtime import Bundle


def main() -> None:
    """Measures, prints and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "stages.json")
    parser.add_argument("--views", type=int, default=Budget.views)
    parser.add_argument("--engine", action="append", help="as for mvrec-edge bench; by default all that open")
    parser.add_argument("--rounds", type=int, default=Budget.rounds)
    parser.add_argument("--seconds", type=float, default=Budget.seconds, help="for each engine")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    bundle = Bundle.load(arguments.bundle)
    precisions = bundle.precisions
    record = measure_bundle(
        bundle,
        parse_candidates(arguments.engine, precisions) if arguments.engine else default_candidates(precisions),
        Budget(
            batches=(arguments.views,),
            views=arguments.views,
            rounds=arguments.rounds,
            seconds=arguments.seconds,
            threads=arguments.threads,
        ),
        torch=False,
    )
    print(markdown(record))
    wanted = ("bundle", "settings", "load_before", "took_s", "stages", "unavailable")
    question = f"Milliseconds of each stage for one defect of {arguments.views} views, {bundle.architecture.name}"
    write_result(arguments.out, question, {name: record[name] for name in wanted})


if __name__ == "__main__":
    main()
