"""`mvrec-edge evaluate`: the paper's protocol on a labelled set, one row for each head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.options import (
    Batch,
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

if TYPE_CHECKING:
    from mvrec_edge.calib import EvaluationSet, HeadResult, SupportSet
    from mvrec_edge.calib.embedding_store import EmbeddingStore
    from mvrec_edge.runtime import Engine, ViewPlan

__all__ = ["evaluate"]


def evaluate(
    bundle: Annotated[
        Path | None,
        typer.Argument(metavar="[BUNDLE]", help="Folder that 'mvrec-edge export' wrote.", show_default=False),
    ] = None,
    support: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SUPPORT]",
            help="Labelled set that shots are drawn from: class folders, labelme, COCO, an MVTec-FS table, boxes.",
            show_default=False,
        ),
    ] = None,
    query: Annotated[
        Path | None,
        typer.Option(
            "--query",
            help="Labelled set that is classified; by default what was not drawn from SUPPORT.",
            show_default=False,
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option("--features", help="Cached features instead of BUNDLE and SUPPORT.", show_default=False),
    ] = None,
    shots: Annotated[str, typer.Option("--shots", help="Instances for each class, such as 1,3,5.")] = "1,3,5",
    draws: Annotated[int, typer.Option("--draws", min=1, help="Draws for each number of shots; seeds 0, 1, ...")] = 5,
    heads: Annotated[
        str, typer.Option("--heads", help="Heads to compare: auto, zip, zip-c, zip-f.")
    ] = "auto,zip,zip-c,zip-f",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps of zip-f.")] = 500,
    triplet: Annotated[float, typer.Option("--triplet", min=0, help="Weight of the triplet loss of zip-f.")] = 0.0,
    views: Annotated[
        str,
        typer.Option("--views", help="View recipe; mso_bbox crops by the defect's size (the paper's tables 3 and 4)."),
    ] = "mso",
    resample: Annotated[str, typer.Option("--resample", help="'exact' or 'fast'.")] = "exact",
    region_input: Annotated[
        str,
        typer.Option("--input", help="What the encoder sees of a region: 'mask', 'box' (filled), or 'full' (no mask)."),
    ] = "mask",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for evaluation.json, evaluation.md and a plot.", show_default=False),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store", help="Where embeddings are kept; by default the user's cache folder.", show_default=False
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Keep embeddings, so that a second run is quick.")
    ] = True,
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
    """Evaluate heads by the paper's protocol: few shots drawn several times, every query classified.

    Example: mvrec-edge evaluate encoder.bundle train.csv --query valid.csv --shots 1,3,5 --out evaluation/

    Example: mvrec-edge evaluate --features features.safetensors
    """
    from mvrec_edge.calib import HEAD_CHOICES, FineTuning, Protocol, read_features
    from mvrec_edge.calib import evaluate as run_protocol
    from mvrec_edge.calib.report import evaluation_json, evaluation_markdown
    from mvrec_edge.cli.console import count_bar, say, say_problems
    from mvrec_edge.runtime.errors import OutputError, UsageError
    from mvrec_edge.runtime.user_cache import user_cache_path

    names = tuple(name.strip() for name in heads.split(",") if name.strip())
    if unknown := [name for name in names if name not in HEAD_CHOICES]:
        raise UsageError(f"there is no head '{unknown[0]}'", fix="one of " + ", ".join(HEAD_CHOICES))
    protocol = Protocol(_numbers(shots), draws, names, FineTuning(steps=steps, triplet=triplet))
    if out is not None and out.exists() and not overwrite:
        raise OutputError("exists already", where=out, fix="choose another folder, or give --overwrite")

    problems = 0
    about: dict[str, object] = {"shots": list(protocol.shots), "draws": draws}
    if features is not None and bundle is None and support is None and query is None:
        data = read_features(features)
        about["features"] = features.name
    elif features is None and bundle is not None and support is not None:
        from mvrec_edge.calib import read_support
        from mvrec_edge.calib.embedding_store import EmbeddingStore
        from mvrec_edge.calib.evaluation import check_counts
        from mvrec_edge.runtime import Bundle, ViewPlan, open_engine, open_source

        opened = Bundle.load(bundle, graphs=())
        plan = ViewPlan.by_name(views, size=opened.architecture.image_size, resample=resample)
        sets: list[SupportSet] = []
        for path in (support, query):
            if path is not None:
                source = open_source(path, format=source_format.value, masks=masks, image_root=image_root)
                with count_bar(f"reading {path.name}", len(source), "images") as advance:
                    sets.append(read_support(source, min_area=min_area, progress=advance))
                say_problems(sets[-1].problems)
                problems += len(sets[-1].problems)
        # Before the encoder runs, which may take minutes.
        labels = [instance.label for instance in sets[0].instances]
        check_counts({name: labels.count(name) for name in sets[0].class_names}, max(protocol.shots))
        kept = EmbeddingStore(store or user_cache_path() / "embeddings") if keep else None
        with open_engine(
            engine, opened, precision=precision, provider=provider, batch=batch, threads=threads, say=say
        ) as encoder:
            data = _encode(encoder, sets, plan, region_input, kept)
            described = f"{opened.architecture.name} {encoder.precision}, {opened.weights}"
        about |= {
            "encoder": described,
            "support": support.name,
            "query": None if query is None else query.name,
            "view_plan": str(plan),
            "region_input": region_input,
        }
    else:
        raise UsageError(
            "give either BUNDLE and SUPPORT, or --features",
            fix="example: mvrec-edge evaluate encoder.bundle train.csv --query valid.csv",
        )
    total = len(protocol.shots) * draws * len(names)
    with count_bar("evaluating", total, "heads") as advance:
        results = run_protocol(data, protocol, advance)
    _print(results)
    if out is not None:
        _write(
            out,
            evaluation_json(results, data.class_names, about),
            evaluation_markdown(results, data.class_names, "Evaluation"),
            results,
            data.class_names,
        )
        say(f"written: {out}")
    if problems:
        raise typer.Exit(1)


def _numbers(text: str) -> tuple[int, ...]:
    from mvrec_edge.runtime.errors import UsageError

    try:
        numbers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        numbers = ()
    if not numbers or numbers[0] < 1:
        raise UsageError(f"'{text}' is no list of shots", fix="example: --shots 1,3,5")
    return numbers


def _encode(
    encoder: Engine, sets: list[SupportSet], plan: ViewPlan, region_input: str, store: EmbeddingStore | None
) -> EvaluationSet:
    """Encodes the support and, where it is given, the query; labels become indices into the support's classes."""
    import numpy as np

    from mvrec_edge.calib import EvaluationSet
    from mvrec_edge.calib.embedding_store import encode_instances
    from mvrec_edge.calib.support import with_region_input
    from mvrec_edge.cli.console import say, view_bar
    from mvrec_edge.runtime.classifier import warn_if_random
    from mvrec_edge.runtime.errors import InputError

    warn_if_random(encoder.random_weights)
    names = sets[0].class_names
    for instance in (instance for part in sets[1:] for instance in part.instances):
        if instance.label not in names:
            raise InputError(
                f"the class '{instance.label}' is not among the support's",
                where=instance.region.source,
                fix="leave it out",
            )
    parts = []
    for part in sets:
        instances = with_region_input(part.instances, region_input)
        with view_bar("encoding", len(instances) * plan.count) as advance:
            embeddings, encoded = encode_instances(encoder, instances, plan, store=store, progress=advance)
        say(f"{len(instances)} regions: {encoded} encoded, {len(instances) - encoded} found")
        parts.append((embeddings, np.array([names.index(instance.label) for instance in instances], np.int64)))
    return EvaluationSet(names, *parts[0], *(parts[1] if len(parts) > 1 else (None, None)))


def _print(results: list[HeadResult]) -> None:
    shots = sorted({result.shots for result in results})
    typer.echo(f"{'accuracy, %':<14}" + "".join(f"{f'{count} shots':>18}" for count in shots))
    for head in dict.fromkeys(result.head for result in results):
        cells = [result for result in results if result.head == head]
        typer.echo(
            f"{head:<14}" + "".join(f"{f'{100 * cell.mean:.2f} ± {100 * cell.spread:.2f}':>18}" for cell in cells)
        )


def _write(
    out: Path, payload: dict[str, object], markdown: str, results: list[HeadResult], class_names: tuple[str, ...]
) -> None:
    from mvrec_edge.calib.report import plot_evaluation
    from mvrec_edge.cli.console import say
    from mvrec_edge.runtime.errors import MissingDependencyError
    from mvrec_edge.runtime.files import atomic_write, canonical_json, writing

    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    for name, data in (("evaluation.json", canonical_json(payload)), ("evaluation.md", markdown.encode())):
        with atomic_write(out / name) as stream:
            stream.write(data)
    try:
        plot_evaluation(results, class_names, out / "evaluation.png")
    except MissingDependencyError as error:
        say(f"no plot: {error}")
