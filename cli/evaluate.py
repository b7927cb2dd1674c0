"""`mvrec-edge evaluate`: the paper's protocol on a labelled set, one row for each head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.options import (
    FORMATS,
    Batch,
    EngineName,
    Format,
    ImageRoot,
    Masks,
    MinArea,
    Overwrite,
    PrecisionName,
    ProviderName,
    ReportPath,
    SourceFormat,
    Threads,
)

if TYPE_CHECKING:
    from mvrec_edge.calib import EvaluationSet, HeadResult, SupportSet
    from mvrec_edge.calib.evaluation.embedding_store import EmbeddingStore
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
            help=f"Labelled set that shots are drawn from: {FORMATS}.",
            show_default=False,
        ),
    ] = None,
    query: Annotated[
        Path | None,
        typer.Option(
            "--query",
            help="Labelled set that is classified, of the same kinds; by default what was not drawn from SUPPORT.",
            show_default=False,
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option("--features", help="Cached features, instead of BUNDLE and SUPPORT.", show_default=False),
    ] = None,
    shots: Annotated[str, typer.Option("--shots", help="Instances for each class, such as 1,3,5.")] = "1,3,5",
    draws: Annotated[
        int, typer.Option("--draws", min=1, help="Draws for each number of shots; seeds 0, 1, and so on.")
    ] = 5,
    heads: Annotated[
        str, typer.Option("--heads", help="Heads to compare: auto, zip, zip-c, zip-f.")
    ] = "auto,zip,zip-c,zip-f",
    unknown: Annotated[
        bool,
        typer.Option(
            "--unknown", help="Also leave each class out in turn, and say how well its defects are told as unknown."
        ),
    ] = False,
    reject_rate: Annotated[
        str,
        typer.Option(
            "--reject-rate",
            metavar="RATE",
            help="With --unknown: wanted share of known defects that are called unknown.",
        ),
    ] = "5%",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Training steps of zip-f.")] = 500,
    triplet: Annotated[float, typer.Option("--triplet", min=0, help="Weight of the triplet loss of zip-f.")] = 0.0,
    views: Annotated[
        str,
        typer.Option(
            "--views",
            help="View recipe, as for calibrate; mso_bbox crops by the defect's size (the paper's tables 3 and 4).",
        ),
    ] = "mso",
    resample: Annotated[
        str, typer.Option("--resample", help="'exact' as in the released code, or 'fast' for small boards.")
    ] = "exact",
    region_input: Annotated[
        str,
        typer.Option("--input", help="What the encoder sees of a region: 'mask', 'box' (filled), or 'full' (no mask)."),
    ] = "mask",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for evaluation.json, evaluation.md and a plot, with --unknown also unknown.json and "
            "unknown.md; by default only the table is shown.",
            show_default=False,
        ),
    ] = None,
    report: ReportPath = None,
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

    Example: mvrec-edge evaluate encoder.bundle labelled/ --shots 1,3 --out evaluation/

    Example: mvrec-edge evaluate encoder.bundle train.csv --query valid.csv --shots 1,3,5

    Example: mvrec-edge evaluate encoder.bundle labelled/ --shots 3,5 --heads auto --unknown

    Example: mvrec-edge evaluate --features features.safetensors
    """
    from mvrec_edge.calib import HEAD_CHOICES, FineTuning, Protocol, evaluate_unknown, read_features
    from mvrec_edge.calib import evaluate as run_protocol
    from mvrec_edge.calib.evaluation.tables import evaluation_json, evaluation_markdown
    from mvrec_edge.calib.evaluation.unknown_tables import unknown_json, unknown_lines, unknown_markdown
    from mvrec_edge.cli.console import count_bar, say, say_problems
    from mvrec_edge.cli.report import encoder_section
    from mvrec_edge.runtime.errors import OutputError, UsageError
    from mvrec_edge.runtime.files import canonical_json
    from mvrec_edge.runtime.files.user_cache import user_cache_path
    from mvrec_edge.runtime.support.reject_rate import parse_rate

    names = tuple(name.strip() for name in heads.split(",") if name.strip())
    if missing := [name for name in names if name not in HEAD_CHOICES]:
        raise UsageError(f"there is no head '{missing[0]}'", fix="one of " + ", ".join(HEAD_CHOICES))
    rate = parse_rate(reject_rate)
    protocol = Protocol(_numbers(shots), draws, names, FineTuning(steps=steps, triplet=triplet))
    if out is not None and out.exists() and not overwrite:
        raise OutputError("exists already", where=out, fix="choose another folder, or give --overwrite")
    if report is not None:
        from mvrec_edge.runtime.report import Section
        from mvrec_edge.runtime.report.report_writer import check_place

        if features is not None:
            raise UsageError("a report shows pictures, and --features has none", fix="leave out --report")
        check_place(report, overwrite=overwrite)

    problems = 0
    about: dict[str, object] = {"shots": list(protocol.shots), "draws": draws}
    if features is not None and bundle is None and support is None and query is None:
        data = read_features(features)
        about["features"] = features.name
    elif features is None and bundle is not None and support is not None:
        from mvrec_edge.calib import read_support
        from mvrec_edge.calib.evaluation.embedding_store import EmbeddingStore
        from mvrec_edge.calib.evaluation.protocol import check_counts
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
            encoded_by = encoder_section(opened, encoder)
        about |= {
            "encoder": described,
            "support": support.name,
            "query": None if query is None else query.name,
            "view_plan": str(plan),
            "region_input": region_input,
        }
    elif features is not None:
        # Named with their values, since they may come from a config file and not be in sight.
        given = {"BUNDLE": bundle, "SUPPORT": support, "--query": query}
        superfluous = ", ".join(f"{name} ({value})" for name, value in given.items() if value is not None)
        raise UsageError(
            f"--features brings its own support and queries, so leave out {superfluous}",
            fix="or leave out --features; where a config file gives them, leave out --config",
        )
    else:
        raise UsageError(
            "give either BUNDLE and SUPPORT, or --features",
            fix="example: mvrec-edge evaluate encoder.bundle labelled/ --shots 1,3",
        )
    total = len(protocol.shots) * draws * len(names)
    with count_bar("evaluating", total, "heads") as advance:
        results = run_protocol(data, protocol, advance)
    _print(results)
    documents: dict[str, bytes] = {}
    if unknown:
        with count_bar("leaving classes out", len(protocol.shots) * draws * len(data.class_names), "trials") as advance:
            told = evaluate_unknown(data, protocol, rate, advance)
        typer.echo("\n".join(["", *unknown_lines(told, rate)]))
        documents["unknown.json"] = canonical_json(unknown_json(told, data.class_names, rate, about))
        documents["unknown.md"] = unknown_markdown(told, data.class_names, rate, "Unknown defects").encode()
    if out is not None:
        documents["evaluation.json"] = canonical_json(evaluation_json(results, data.class_names, about))
        documents["evaluation.md"] = evaluation_markdown(results, data.class_names, "Evaluation").encode()
        _write(
            out,
            documents,
            results,
            data.class_names,
        )
        say(f"written: {out}")
    if report is not None and support is not None:
        from mvrec_edge.cli.evaluation_report import write_evaluation_report

        write_evaluation_report(
            report,
            data,
            sets,
            protocol,
            plan,
            title=f"Evaluation of {(query or support).name}",
            details=(encoded_by, Section.of("Evaluation", about)),
            random_weights=encoder.random_weights,
            overwrite=overwrite,
        )
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
    from mvrec_edge.calib.evaluation.embedding_store import encode_instances
    from mvrec_edge.calib.labelled import with_region_input
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


def _write(out: Path, documents: dict[str, bytes], results: list[HeadResult], class_names: tuple[str, ...]) -> None:
    from mvrec_edge.calib.evaluation.tables import plot_evaluation
    from mvrec_edge.cli.console import say
    from mvrec_edge.runtime.errors import MissingDependencyError
    from mvrec_edge.runtime.files import atomic_write, writing

    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    for name, data in documents.items():
        with atomic_write(out / name) as stream:
            stream.write(data)
    try:
        plot_evaluation(results, class_names, out / "evaluation.png")
    except MissingDependencyError as error:
        say(f"no plot: {error}")
