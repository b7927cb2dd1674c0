"""`mvrec-edge evaluate --part-from`: several parts in one support cache, against each part alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mvrec_edge.cli.options import EngineOptions, LabelledOptions
from mvrec_edge.cli.part_options import PartOptions

if TYPE_CHECKING:
    from mvrec_edge.calib import EvaluateSettings
    from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
    from mvrec_edge.cli.output_paths import Outputs

__all__ = ["check_alone", "evaluate_with_parts"]


def check_alone(superfluous: dict[str, bool]) -> None:
    """Refuses what does not go with parts.

    Args:
        superfluous: Options, and whether each is given.

    Raises:
        UsageError: One is.
    """
    from mvrec_edge.runtime.errors import UsageError

    if given := [name for name, there in superfluous.items() if there]:
        raise UsageError(f"--part-from does not go with {given[0]}", fix="leave out one of the two")


def _without_trained(settings: EvaluateSettings) -> EvaluateSettings:
    """The settings without the heads that are trained, which a cache of several parts does not hold; says so."""
    from mvrec_edge.calib.calibration import check_parts_of
    from mvrec_edge.cli.console import say
    from mvrec_edge.runtime.heads import head_class, head_names

    heads = settings.protocol.heads
    kept = tuple(head for head in heads if head not in head_names() or not head_class(head).trains)
    if not kept:
        check_parts_of((), heads)
    if left_out := [head for head in heads if head not in kept]:
        say(f"left out: {', '.join(left_out)}, since a support cache with parts holds no trained head")
    return dataclasses.replace(settings, protocol=dataclasses.replace(settings.protocol, heads=kept))


def evaluate_with_parts(
    bundle: Path,
    support: Path,
    settings: EvaluateSettings,
    showing: PartOptions,
    reading: LabelledOptions,
    encoding: EngineOptions,
    *,
    precision: str | None,
    out: Path | None,
    outputs: Outputs,
    store: EmbeddingStore | None,
) -> None:
    """Reads, encodes and evaluates parts; prints the table, and writes it where that was asked for."""
    from mvrec_edge.calib import encode_sets
    from mvrec_edge.calib.calibration import check_parts_of
    from mvrec_edge.calib.evaluation.part_evaluation import evaluate_parts
    from mvrec_edge.calib.evaluation.part_tables import part_lines, write_parts
    from mvrec_edge.calib.evaluation.set_evaluation import check_sets
    from mvrec_edge.cli.console import ConsoleObserver, say, show
    from mvrec_edge.runtime import Bundle

    opened = Bundle.load(bundle, graphs=())
    encoding.check(opened, precision)
    settings = _without_trained(settings)
    labelled = showing.read(reading, support, region_input=settings.region_input, plan=settings.plan(), outputs=outputs)
    parts = labelled.by_part()
    check_parts_of(parts, ())
    for own in parts.values():
        check_sets(own, None, settings)
    observer = ConsoleObserver()
    protocol = settings.protocol
    with encoding.open(opened, precision, say) as engine:
        sets = {
            name: encode_sets(engine, own, None, settings, store=store, observer=observer)
            for name, own in parts.items()
        }
        about = {
            "encoder": engine.encoder_name,
            "support": support.name,
            "view_plan": str(settings.plan(engine.image_size)),
            "region_input": settings.region_input,
            "draws": protocol.draws,
            "split": protocol.split,
        }
    steps = len(protocol.shots) * len(protocol.heads) * protocol.draws
    with observer.phase("evaluating", steps, "draws") as advance:
        results = evaluate_parts(sets, protocol, lambda count: advance(count))
    for line in part_lines(results):
        show(line)
    if out is not None:
        write_parts(out, results, about)
        say(f"written: {out}")
    if labelled.problems:
        raise typer.Exit(1)
