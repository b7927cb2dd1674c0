"""How does latency grow with the batch, from one view to two defects, with each engine and in PyTorch as released?

One run of `mvrec-edge bench`, by the same functions. The bundle is ViT-L/14:
`mvrec-edge export --random-weights ViT-L/14 --out BUNDLE`; drawn weights take the time that trained ones take.
"""

from __future__ import annotations

from pathlib import Path

from _bench_options import bench_options, wanted_candidates
from _machine import write_result

from mvrec_edge.bench.bench import measure_bundle
from mvrec_edge.bench.budget import BATCHES, Budget
from mvrec_edge.bench.tables import markdown
from mvrec_edge.runtime import Bundle


def main() -> None:
    """Measures, prints and writes the result."""
    parser = bench_options(__doc__, "batch_size.json", "each engine at each batch size")
    parser.add_argument("--batch", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument("--checkpoint", type=Path, help="weights of a bundle that was made from a checkpoint")
    parser.add_argument("--no-torch", action="store_true", help="leave PyTorch out")
    arguments = parser.parse_args()
    bundle = Bundle.load(arguments.bundle)
    record = measure_bundle(
        bundle,
        wanted_candidates(arguments.engine, bundle),
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
