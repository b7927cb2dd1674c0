"""`mvrec-edge classify`: images with marked defects become classes and probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
            help="Images with a mask beside them, folders of those, labelme folders, COCO files, MVTec-FS tables, or "
            "boxes files (CSV or JSON Lines).",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="JSON Lines file to write; by default stdout.", show_default=False),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option("--overlay", help="Folder for pictures with contour, class and probability.", show_default=False),
    ] = None,
    table: Annotated[
        bool | None,
        typer.Option("--table/--jsonl", help="What stdout shows; by default a table on a terminal, else JSON Lines."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an --out file that an earlier run left unfinished.")
    ] = False,
    neighbours: Annotated[
        int, typer.Option("--neighbours", min=0, max=100, help="Nearest support instances to name.")
    ] = 3,
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

    Example: mvrec-edge classify encoder.bundle line.safetensors parts/ --out results.jsonl --overlay pictures/
    """
    from mvrec_edge.cli.console import say, view_bar
    from mvrec_edge.cli.records import ImageResult, open_sink
    from mvrec_edge.runtime import Bundle, DefectClassifier, SupportCache, open_engine, open_source
    from mvrec_edge.runtime.classifier import check_encoder

    sources = [open_source(path, format=source_format.value, masks=masks, image_root=image_root) for path in inputs]
    opened = Bundle.load(bundle, graphs=())
    loaded = SupportCache.load(cache)
    # The cache decides: only embeddings of the same graph may be compared. Asked before an engine is opened.
    precision = precision or opened.precision_of(loaded.encoder) or opened.precisions[0]
    check_encoder(loaded, opened.fingerprint(precision), precision)
    with (
        open_sink(out, overlay=overlay, table=table, resume=resume, overwrite=overwrite) as sink,
        open_engine(
            engine, opened, precision=precision, provider=provider, batch=batch, threads=threads, say=say
        ) as encoder,
    ):
        classifier = DefectClassifier(encoder, loaded, neighbours=neighbours)
        sink.write_problems([problem for source in sources for problem in source.problems])
        images = [item for source in sources for item in source if not sink.is_done(item.path)]
        with view_bar("classifying", None) as advance:
            for item, predictions in classifier.classify_many(_read(images, min_area), advance):
                path, problems = item.key
                sink.write(ImageResult(path, item.image if item.image.size else None, predictions, problems))
    say(sink.summary())
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
