"""`mvrec-edge classify`: images with marked defects become classes and probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    ReportPath,
    SourceFormat,
    Threads,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mvrec_edge.runtime import ImageRegions
    from mvrec_edge.runtime.errors import InputError
    from mvrec_edge.runtime.regions import SourceImage

__all__ = ["classify"]


def classify(
    bundle: BundlePath,
    cache: Annotated[Path, typer.Argument(metavar="CACHE", help="Support cache that 'mvrec-edge calibrate' wrote.")],
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help=f"What to classify: images with a mask beside them, or any of {FORMATS}. Labels are not needed.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="JSON Lines file to write; by default stdout.", show_default=False),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay",
            help="Folder for pictures with contour, class and probability; by default none are drawn.",
            show_default=False,
        ),
    ] = None,
    report: ReportPath = None,
    table: Annotated[
        bool | None,
        typer.Option(
            "--table/--jsonl",
            help="What stdout shows; by default a table on a terminal, else JSON Lines.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an --out file that an earlier run left unfinished.")
    ] = False,
    neighbours: Annotated[
        int, typer.Option("--neighbours", min=0, max=100, help="Nearest support instances to name.")
    ] = 3,
    views: Annotated[
        str,
        typer.Option(
            "--views",
            help="Views of each defect: 'all'; 'auto', as many as the decision takes; a number, such as 3; or 'cache', "
            "what 'calibrate --tune' chose, and all where it did not.",
        ),
    ] = "cache",
    risk: Annotated[
        str,
        typer.Option(
            "--risk",
            help="For --views auto: stop where the probability that all views would say otherwise is below this.",
        ),
    ] = "1%",
    budget_ms: Annotated[
        float | None,
        typer.Option(
            "--budget-ms",
            help="Most milliseconds for the views of one defect, as measured on the engine; what is reached by then "
            "is the answer, and says so. By default there is no limit.",
            show_default=False,
        ),
    ] = None,
    reject_rate: RejectRate = None,
    drift_window: Annotated[
        int,
        typer.Option(
            "--drift-window",
            min=0,
            help="Warn where so many regions together lie further from the support than calibration saw; 0 for never.",
        ),
    ] = 50,
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
    """Classify marked defects; one record for each region, and one for each item that failed.

    SIGHUP (kill -HUP) makes a running classification take up the changed CACHE before the next image.

    Example: mvrec-edge classify encoder.bundle line.safetensors incoming/ --out results.jsonl --overlay pictures/
    """
    from mvrec_edge.cli.reload_signal import ReloadSignal

    # Before anything that takes time: a request that comes early must not end the process.
    reload_signal = ReloadSignal()

    import dataclasses

    from mvrec_edge.cli.console import say, view_bar
    from mvrec_edge.cli.records import ImageResult, open_sink
    from mvrec_edge.cli.report import open_report, run_sections, say_report
    from mvrec_edge.runtime import (
        Bundle,
        DefectClassifier,
        NoveltyScorer,
        SupportCache,
        ViewUse,
        open_engine,
        open_source,
    )
    from mvrec_edge.runtime.classifier import check_encoder
    from mvrec_edge.runtime.novelty.drift import check_window
    from mvrec_edge.runtime.support.reject_rate import parse_rate

    use = ViewUse.parse("all" if views == "cache" else views, risk, budget_ms)
    rate = None if reject_rate is None else parse_rate(reject_rate)
    if drift_window:
        check_window(drift_window)
    sources = [open_source(path, format=source_format.value, masks=masks, image_root=image_root) for path in inputs]
    opened = Bundle.load(bundle, graphs=())
    loaded = SupportCache.load(cache)
    if views == "cache" and loaded.schedule is not None:
        use = dataclasses.replace(use, views=loaded.schedule.use)
    # The cache decides: only embeddings of the same graph may be compared. Asked before an engine is opened.
    precision = precision or opened.precision_of(loaded.encoder) or opened.precisions[0]
    check_encoder(loaded, opened.fingerprint(precision), precision)
    if rate is not None:
        NoveltyScorer(loaded, rate)  # refuses a cache that cannot serve a rate
    with (
        open_report(report, loaded, f"Classified with {cache.name}", overwrite=overwrite) as page,
        open_sink(out, overlay=overlay, table=table, resume=resume, overwrite=overwrite) as sink,
        open_engine(
            engine, opened, precision=precision, provider=provider, batch=batch, threads=threads, say=say
        ) as encoder,
    ):
        classifier = DefectClassifier(
            encoder,
            loaded,
            neighbours=neighbours,
            views=use,
            say=say,
            reject_rate=rate,
            drift_window=drift_window or None,
        )
        if use.views == "auto":
            say(classifier.rule.schedule.describe())
        if page is None:
            reload_signal.calls(lambda: classifier.request_reload(cache))
        source_problems = [problem for source in sources for problem in source.problems]
        sink.write_problems(source_problems)
        everything = [item for source in sources for item in source]
        images = [item for item in everything if not sink.is_done(item.path)]
        if page is not None:
            page.add_problems(source_problems)
            said: dict[str, object] = {
                "views used": use.views,
                "risk": risk if use.views == "auto" else None,
                "budget": None if budget_ms is None else f"{budget_ms:g} ms",
                "reject rate": reject_rate,
            }
            page.add_details(
                *run_sections(
                    "classify", cache=loaded, cache_name=cache.name, bundle=opened, engine=encoder, options=said
                )
            )
            if done := len(everything) - len(images):
                page.note(f"{done} images that an earlier run had finished are not in this report.")
        with view_bar("classifying", None) as advance:
            for item, predictions in classifier.classify_many(_read(images, min_area), advance):
                path, problems = item.key
                pixels = item.image if item.image.size else None
                sink.write(ImageResult(path, pixels, predictions, problems))
                if page is not None:
                    page.add(path, pixels, predictions, problems)
    if page is not None and reload_signal.arrived:
        say("warning: the support cache stayed what it was at the start, since a --report shows one cache alone")
    say(sink.summary())
    say_report(page)
    if sink.failures:
        raise typer.Exit(1)


def _read(images: list[SourceImage], min_area: int | None) -> Iterator[ImageRegions[tuple[Path, list[InputError]]]]:
    """Reads images one by one; whatever is wrong with one goes along with it, and the rest goes on."""
    import numpy as np

    from mvrec_edge.runtime import ImageRegions, read_image
    from mvrec_edge.runtime.errors import InputError

    nothing = np.empty((0, 0, 3), np.uint8)
    for source_image in images:
        try:
            image = read_image(source_image.path)
            reading = source_image.regions(image.shape[:2], min_area)
        except InputError as error:
            yield ImageRegions((source_image.path, [error]), nothing, [])
        else:
            yield ImageRegions((source_image.path, list(reading.problems)), image, reading.regions)
