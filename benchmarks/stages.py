"""Where does the time of one defect go: decoding, cutting views, encoding, classifying?

One run of `mvrec-edge bench` at the 27 views of a defect, by the same functions. The bundle is ViT-L/14, as for
`batch_size.py`.
"""

from __future__ import annotations

from _bench_options import bench_options, wanted_candidates
from _machine import write_result

from mvrec_edge.bench.bench import measure_bundle
from mvrec_edge.bench.budget import Budget
from mvrec_edge.bench.tables import markdown
from mvrec_edge.runtime import Bundle


def main() -> None:
    """Measures, prints and writes the result."""
    parser = bench_options(__doc__, "stages.json", "each engine")
    parser.add_argument("--views-per-defect", type=int, default=Budget.views)
    arguments = parser.parse_args()
    bundle = Bundle.load(arguments.bundle)
    record = measure_bundle(
        bundle,
        wanted_candidates(arguments.engine, bundle),
        Budget(
            batches=(arguments.views_per_defect,),
            views=arguments.views_per_defect,
            rounds=arguments.rounds,
            seconds=arguments.seconds,
            threads=arguments.threads,
        ),
        torch=False,
    )
    print(markdown(record))
    wanted = ("bundle", "settings", "load_before", "took_s", "stages", "unavailable")
    question = (
        f"Milliseconds of each stage for one defect of {arguments.views_per_defect} views, {bundle.architecture.name}"
    )
    write_result(arguments.out, question, {name: record[name] for name in wanted})


if __name__ == "__main__":
    main()
