"""`mvrec-edge support add`: labelled defects encoded and put into a cache that is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.flattening import flattened
from mvrec_edge.cli.options import EngineOptions, MinArea, SourceOptions
from mvrec_edge.cli.support.shared_options import CachePath, ChangeOptions

if TYPE_CHECKING:
    from mvrec_edge.calib import LabelledRegion
    from mvrec_edge.calib.changes import Changed
    from mvrec_edge.runtime import SupportCache

__all__ = ["add"]


@flattened
def add(
    cache: CachePath,
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="Images with a mask beside them, or anything that 'calibrate' takes as a labelled set.",
        ),
    ],
    bundle: Annotated[Path, typer.Option("--bundle", "-b", help="The bundle that the cache was made with.")],
    *,
    label: Annotated[
        str | None,
        typer.Option("--label", "-l", help="The class of all of them; by default what their annotations say."),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Encode also defects whose source and class the cache has already."),
    ] = False,
    reading: SourceOptions,
    min_area: MinArea = None,
    encoding: EngineOptions,
    writing: ChangeOptions,
) -> None:
    """Add labelled defects; only those that are new are encoded.

    Example: mvrec-edge support add line.safetensors part7.jpg --bundle encoder.bundle --label dent

    Example: mvrec-edge support add line.safetensors labelled/ --bundle encoder.bundle
    """
    from mvrec_edge.calib import read_support
    from mvrec_edge.calib.changes import add_instances, not_there_yet
    from mvrec_edge.calib.labelled import encode_instances
    from mvrec_edge.cli.console import say, say_problems, view_bar
    from mvrec_edge.cli.support.changing import change_cache
    from mvrec_edge.runtime import Bundle
    from mvrec_edge.runtime.classifier import check_encoder
    from mvrec_edge.runtime.errors import InputError, SupportError, UsageError

    if label is not None and not label.strip():
        raise UsageError("--label is empty")
    opened = Bundle.load(bundle, graphs=())
    problems: list[InputError] = []

    def change(before: SupportCache) -> Changed:
        # The cache decides: only embeddings of the same graph may be compared.
        precision = opened.precision_of(before.encoder) or opened.precisions[0]
        check_encoder(before, opened.fingerprint(precision), precision)
        plan = before.view_plan
        if plan is None:
            raise UsageError("the support cache has no view plan, so nothing can be encoded for it", where=cache)
        instances: list[LabelledRegion] = []
        for path in sources:
            source = reading.open(path)
            found = read_support(source, min_area=min_area, label=label)
            instances += found.instances
            problems.extend(found.problems)
        say_problems(problems)
        if not again:
            found_before = len(instances)
            instances = not_there_yet(before, instances)
            if known := found_before - len(instances):
                say(f"left out {known} whose source and class the cache has already (--again encodes them, too)")
            if known and not instances:
                raise SupportError("the cache has all of them already, by source and class", fix="see --again")
        if not instances:
            raise SupportError("there is no labelled defect to add", fix="give --label, or a source with labels")
        with (
            encoding.open(opened, precision, say) as encoder,
            view_bar("encoding", len(instances) * plan.count) as advance,
        ):
            encoded = encode_instances(
                encoder,
                instances,
                plan,
                advance,
                class_names=before.class_names,
                # A cache that was made without pictures stays without them.
                pictures=bool(before.thumbnails),
            )
        return add_instances(before, encoded)

    change_cache(cache, change, writing)
    if problems:
        raise typer.Exit(1)
