"""`mvrec-edge calibrate`: a labelled set becomes a support cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mvrec_edge.cli.options import (
    Batch,
    BundlePath,
    EngineName,
    Format,
    ImageRoot,
    Masks,
    MinArea,
    Overwrite,
    PrecisionName,
    ProviderName,
    SourceFormat,
    Threads,
)

__all__ = ["calibrate"]


def calibrate(
    bundle: BundlePath,
    support: Annotated[
        Path,
        typer.Argument(
            metavar="SUPPORT",
            help="Labelled set: a folder for each class with images and masks, a labelme folder, a COCO file, an "
            "MVTec-FS table or a boxes file with labels.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Support cache to write, such as line.safetensors.")],
    shots: Annotated[
        int | None,
        typer.Option("--shots", min=1, help="Draw so many instances of each class; by default all are used."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the draw (the paper uses 0 to 4).")] = 0,
    views: Annotated[
        str,
        typer.Option("--views", help="View recipe: mso (27 views), none, ms, mo, mr, mf, msr, msf, mor, mso_bbox."),
    ] = "mso",
    resample: Annotated[
        str, typer.Option("--resample", help="'exact' as in the released code, or 'fast' for small boards.")
    ] = "exact",
    head: Annotated[
        str,
        typer.Option(
            "--head",
            help="'auto' chooses among the training-free heads by leaving each instance out; 'zip' is the paper's "
            "Zip-Adapter, 'zip-c' the centred one, 'zip-f' the fine-tuned one.",
        ),
    ] = "auto",
    beta: Annotated[
        float | None,
        typer.Option("--beta", help="Sharpness of a named head; by default the published one.", show_default=False),
    ] = None,
    aggregate: Annotated[
        str | None,
        typer.Option(
            "--aggregate",
            help="For a named head: 'uncertainty' lets certain views weigh more, 'mean' takes the mean embedding.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps of zip-f.")] = 500,
    triplet: Annotated[
        float, typer.Option("--triplet", min=0, help="Weight of the triplet loss of zip-f; the paper's text says 4.")
    ] = 0.0,
    rebase: Annotated[
        Path | None,
        typer.Option(
            "--rebase",
            metavar="CACHE",
            help="Encode the instances of this cache again, for another bundle or precision; its views and head are "
            "kept. SUPPORT must hold its images.",
            show_default=False,
        ),
    ] = None,
    source_format: Format = SourceFormat.auto,
    masks: Masks = None,
    image_root: ImageRoot = None,
    min_area: MinArea = None,
    engine: EngineName = "auto",
    precision: PrecisionName = None,
    provider: ProviderName = None,
    batch: Batch = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
) -> None:
    """Turn a few labelled defects into a support cache.

    Example: mvrec-edge calibrate encoder.bundle magnetic_tile/ --shots 5 --seed 0 --out line.safetensors

    Example: mvrec-edge calibrate encoder.bundle labelled/ --rebase a.safetensors --precision int8 --out b.safetensors
    """
    from mvrec_edge.calib import HEAD_CHOICES, FineTuning, draw_shots, encode_support, fit_head, read_support
    from mvrec_edge.calib.rebase import find_instances, rebased_plan
    from mvrec_edge.cli.console import count_bar, loss_bar, say, say_problems, say_selection, view_bar
    from mvrec_edge.runtime import Bundle, SupportCache, ViewPlan, open_engine, open_source
    from mvrec_edge.runtime.errors import OutputError, UsageError
    from mvrec_edge.runtime.heads.aggregation import AGGREGATIONS

    if out.exists() and not overwrite:
        raise OutputError("exists already", where=out, fix="choose another name, or give --overwrite")
    # Found before the encoder runs, which may take minutes.
    if head not in HEAD_CHOICES:
        raise UsageError(f"there is no head '{head}'", fix="one of " + ", ".join(HEAD_CHOICES))
    if aggregate is not None and aggregate not in AGGREGATIONS:
        raise UsageError(f"there is no aggregation '{aggregate}'", fix="one of " + ", ".join(AGGREGATIONS))
    if beta is not None and not beta > 0:
        raise UsageError(f"beta must be above 0, not {beta}")
    if head == "auto" and (beta is not None or aggregate is not None):
        raise UsageError("the head 'auto' chooses beta and aggregation itself", fix="name a head to set them")
    present = None if rebase is None else SupportCache.load(rebase)
    if present is not None and (shots is not None or views != "mso" or head != "auto"):
        raise UsageError(
            "--rebase keeps the cache's instances, views and head", fix="leave out --shots, --views, --head"
        )
    opened = Bundle.load(bundle, graphs=())
    plan = ViewPlan.by_name(views, size=opened.architecture.image_size, resample=resample)
    source = open_source(support, format=source_format.value, masks=masks, image_root=image_root)
    with count_bar("reading labels", len(source), "images") as advance:
        labelled = read_support(source, min_area=min_area, progress=advance)
    say_problems(labelled.problems)
    instances = list(labelled.instances)
    if shots is not None:
        instances, short = draw_shots(labelled, shots, seed)
        for name in short:
            say(f"warning: the class '{name}' has fewer than {shots} instances; all of them are used")
    if present is not None:
        plan, instances = rebased_plan(present, plan.size), find_instances(present, labelled)
        shots, seed = present.shots, present.seed or 0
        head, beta, aggregate = present.head.name, present.head.beta, present.head.aggregate
    with (
        open_engine(
            engine, opened, precision=precision, provider=provider, batch=batch, threads=threads, say=say
        ) as encoder,
        view_bar("encoding", len(instances) * plan.count) as advance,
    ):
        cache = encode_support(
            encoder,
            instances,
            plan=plan,
            encoder_name=f"{opened.architecture.name} {encoder.precision}, {opened.weights}",
            shots=shots,
            seed=None if shots is None else seed,
            progress=advance,
        )
    tuning = FineTuning(steps=steps, triplet=triplet)
    with loss_bar("fine-tuning", steps if head == "zip-f" else None) as on_step:
        fit = fit_head(cache, head, beta=beta, aggregate=aggregate, tuning=tuning, on_step=on_step)
    say_selection(fit)
    fit.cache.save(out)
    classes = ", ".join(f"{name} {count}" for name, count in cache.counts.items())
    say(f"{out}: {len(instances)} instances x {plan.count} views ({classes})")
    if labelled.problems:
        raise typer.Exit(1)
