"""`mvrec-edge calibrate`: a labelled set becomes a support cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mvrec_edge.cli.options import (
    FORMATS,
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
    RejectRate,
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
            help=f"Labelled set: {FORMATS}.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Support cache to write, such as line.safetensors.")],
    shots: Annotated[
        int | None,
        typer.Option(
            "--shots",
            min=1,
            help="Draw so many instances of each class; by default all are used.",
            show_default=False,
        ),
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
            help="For a named head: 'uncertainty' lets certain views weigh more, 'mean' takes the mean embedding; by "
            "default the published one.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps of zip-f.")] = 500,
    triplet: Annotated[
        float, typer.Option("--triplet", min=0, help="Weight of the triplet loss of zip-f; the paper's text says 4.")
    ] = 0.0,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune",
            help="Print what each precision and training-free head gives with few and with many views, and what it "
            "costs on this machine; keep the cheapest of the most accurate.",
        ),
    ] = False,
    tune_plot: Annotated[
        Path | None,
        typer.Option(
            "--tune-plot", help="With --tune: PNG file of the same; by default none is drawn.", show_default=False
        ),
    ] = None,
    tune_precisions: Annotated[
        str | None,
        typer.Option(
            "--tune-precisions",
            help="With --tune: precisions to look at, such as fp32,int8; by default all of the bundle that run here, "
            "or the one that --precision names.",
            show_default=False,
        ),
    ] = None,
    reject_rate: RejectRate = None,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures", help="Keep a small picture of each instance in the cache, for reports."
        ),
    ] = True,
    rebase: Annotated[
        Path | None,
        typer.Option(
            "--rebase",
            metavar="CACHE",
            help="Instead of choosing instances: encode those of this cache again, for another bundle or precision; "
            "its views, head and reject rate are kept. SUPPORT must hold its images.",
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

    Example: mvrec-edge calibrate encoder.bundle labelled/ --out line.safetensors

    Example: mvrec-edge calibrate encoder.bundle labels.csv --shots 5 --seed 0 --out line.safetensors

    Example: mvrec-edge calibrate encoder.bundle labelled/ --rebase a.safetensors --precision int8 --out b.safetensors
    """
    import time
    from collections import Counter

    from mvrec_edge.calib import (
        HEAD_CHOICES,
        FineTuning,
        draw_shots,
        encode_support,
        fit_head,
        fit_novelty,
        read_support,
    )
    from mvrec_edge.calib.changes.rebase import find_instances, rebased_plan
    from mvrec_edge.calib.fitting.novelty_fitting import describe_limits
    from mvrec_edge.calib.fitting.schedule_fitting import left_out, with_schedule
    from mvrec_edge.calib.fitting.tuning import Variant, check_tunable
    from mvrec_edge.cli.console import count_bar, loss_bar, say, say_problems, say_selection, view_bar
    from mvrec_edge.cli.tuning import encoded_variants, tuned
    from mvrec_edge.runtime import Bundle, SupportCache, ViewPlan, open_engine, open_source
    from mvrec_edge.runtime.errors import OutputError, UsageError
    from mvrec_edge.runtime.heads.aggregation import AGGREGATIONS
    from mvrec_edge.runtime.support.reject_rate import parse_rate
    from mvrec_edge.runtime.support.versions import SupportVersions

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
    if tune and (head != "auto" or rebase is not None):
        raise UsageError("--tune chooses the head itself", fix="leave out --head and --rebase")
    if tune_plot is not None and not tune:
        raise UsageError("--tune-plot draws what --tune finds", fix="give --tune as well")
    if tune_precisions is not None and (not tune or precision is not None):
        raise UsageError(
            "--tune-precisions names what --tune looks at" if not tune else "--precision is the only one looked at",
            fix="give --tune as well" if not tune else "leave out --precision or --tune-precisions",
        )
    rate = None if reject_rate is None else parse_rate(reject_rate)
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
        rate = present.novelty.reject_rate if rate is None and present.novelty is not None else rate
    if tune:
        check_tunable(Counter(instance.label for instance in instances))
    views_in_all = len(instances) * plan.count

    def encode(wanted: str | None) -> Variant:
        with (
            open_engine(
                engine, opened, precision=wanted, provider=provider, batch=batch, threads=threads, say=say
            ) as encoder,
            view_bar(f"encoding, {encoder.precision}", views_in_all) as advance,
        ):
            start = time.perf_counter()
            encoded = encode_support(
                encoder,
                instances,
                plan=plan,
                encoder_name=f"{opened.architecture.name} {encoder.precision}, {opened.weights}",
                shots=shots,
                seed=None if shots is None else seed,
                pictures=pictures,
                progress=advance,
            )
            view_ms = (time.perf_counter() - start) * 1e3 / views_in_all
            return Variant(encoder.precision, encoded, view_ms, f"{encoder.name} on {encoder.device}")

    tuning = FineTuning(steps=steps, triplet=triplet)
    if tune:
        scheduled = tuned(encoded_variants(opened, encode, precision, tune_precisions), tune_plot)
    else:
        cache = encode(precision).cache
        with loss_bar("fine-tuning", steps if head == "zip-f" else None) as on_step:
            fit = fit_head(cache, head, beta=beta, aggregate=aggregate, tuning=tuning, on_step=on_step)
        say_selection(fit)
        with count_bar("view schedule", len(left_out(fit.cache)), "instances") as advance:
            scheduled = with_schedule(fit.cache, advance)
    if scheduled.schedule is not None:
        say(scheduled.schedule.describe())
    calibrated = fit_novelty(scheduled, rate)
    say("unknown defects: " + "; ".join(describe_limits(calibrated)))
    versions = SupportVersions(out)
    with versions.change(lambda: say("a change of this cache is under way: waiting for it")):
        kept = versions.write(calibrated)
    classes = ", ".join(f"{name} {count}" for name, count in calibrated.counts.items())
    before = "" if kept is None else f"; before: {out.name}.{kept}"
    say(f"{out}: {len(instances)} instances x {plan.count} views ({classes}){before}")
    if labelled.problems:
        raise typer.Exit(1)
