"""`mvrec-edge classify`: images with marked defects become classes and probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.completion import complete_name, view_uses
from mvrec_edge.cli.flattening import flattened
from mvrec_edge.cli.options import (
    FORMATS,
    BundlePath,
    CachePath,
    EngineOptions,
    MinArea,
    Overwrite,
    PrecisionName,
    RejectRate,
    ReportPath,
    SourceOptions,
)
from mvrec_edge.cli.part_options import PartOptions

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mvrec_edge.cli.output_paths import Outputs
    from mvrec_edge.cli.records import ResultPlaces
    from mvrec_edge.cli.run_facts import RunFacts
    from mvrec_edge.runtime import ClassifySettings, SupportCache
    from mvrec_edge.runtime.report import ReportWriter

__all__ = ["classify"]


@dataclass(frozen=True)
class _ResultOptions:
    """Where the predictions go."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="JSON Lines file to write, or '-' for stdout; by default the records go to stdout, and a terminal "
            "shows a table in their place. Folders that are missing are made.",
            show_default=False,
        ),
    ] = None
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="CSV file to write as well, with one row for each region and each item that failed. By default "
            "none is written.",
            show_default=False,
        ),
    ] = None
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay",
            help="Folder for pictures of the images, each region with its contour, class and probability; pictures of "
            "the same names in it are replaced. By default no pictures are drawn.",
            show_default=False,
        ),
    ] = None
    report: ReportPath = None
    table: Annotated[
        bool | None,
        typer.Option(
            "--table/--jsonl",
            help="Show a table or JSON Lines on stdout; by default a table on a terminal, otherwise JSON Lines.",
            show_default=False,
        ),
    ] = None
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an --out file that an interrupted run left unfinished, with the same support cache, views "
            "and version of mvrec-edge. What failed is tried again.",
        ),
    ] = False

    def places(self, *, overwrite: bool) -> ResultPlaces:
        """Where they say that results go; see `ResultPlaces` for what is raised."""
        from mvrec_edge.cli.records import ResultPlaces

        return ResultPlaces(self.out, self.csv, self.overlay, self.table, self.resume, overwrite)

    @property
    def outputs(self) -> Outputs:
        """What the run writes, none of which is read."""
        from mvrec_edge.cli.output_paths import Outputs

        files = {"--out": self.out, "--csv": self.csv, "--report": self.report}
        return Outputs(files, pictures={"--overlay": self.overlay})

    def open_report(
        self, cache: SupportCache, run: RunFacts, *, overwrite: bool
    ) -> AbstractContextManager[ReportWriter | None]:
        """The report that is asked for; see `cli.report.open_report` for what is raised."""
        from mvrec_edge.cli.report import open_report

        title = f"Classified with {Path(run.cache).name}"
        return open_report(self.report, cache, title, overwrite=overwrite, resume=self.resume, command=run.add_command)

    def say_places(self) -> None:
        """Says where the table and the pictures are, if any were asked for."""
        from mvrec_edge.cli.console import say

        if self.csv is not None:
            say(f"table: {self.csv}")
        if self.overlay is not None:
            say(f"pictures: {self.overlay}")


@dataclass(frozen=True)
class _DecisionOptions:
    """How a defect is decided upon."""

    neighbours: Annotated[
        int, typer.Option("--neighbours", min=0, max=100, help="Number of nearest support instances in each record.")
    ] = 3
    views: Annotated[
        str,
        typer.Option(
            "--views",
            autocompletion=complete_name(view_uses),
            help="Number of views to encode of each defect, such as 3, or 'all'. 'auto' encodes as many as the "
            "decision needs. 'cache' takes the number that 'calibrate --tune' stored, or all where it stored "
            "none.",
        ),
    ] = "cache"
    risk: Annotated[
        str,
        typer.Option(
            "--risk",
            help="With --views auto: stop encoding views as soon as the probability that all views would give "
            "another class is below this, such as 1% or 0.01.",
        ),
    ] = "1%"
    budget_ms: Annotated[
        float | None,
        typer.Option(
            "--budget-ms",
            help="Time limit for the views of one defect in milliseconds, estimated from the speed measured so far. At "
            "the limit, the views so far decide, and the record says so ('stopped' is 'budget'). By default "
            "there is no limit.",
            show_default=False,
        ),
    ] = None
    reject_rate: RejectRate = None
    region_input: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="What the encoder is told about where a defect is: its outline (mask), its box (box), or nothing "
            "(full). With 'full', images without masks are cut-out defects, each one region. By default what the "
            "annotations say; 'full' where CACHE learned from whole images and there are no masks.",
            show_default=False,
        ),
    ] = None
    drift_window: Annotated[
        int,
        typer.Option(
            "--drift-window",
            min=0,
            help="Number of regions in a group for the drift check: 'classify' warns if a group lies further from the "
            "labelled examples than calibration saw. From 10 to 100,000; 0 switches the check off.",
        ),
    ] = 50
    recentre: Annotated[
        bool,
        typer.Option(
            "--recentre",
            help="Follow the line: learn from the regions classified so far how their light and surface differ from "
            "those of the support. A result then depends on the regions before it. Needs 3 instances of each class and "
            "all views.",
        ),
    ] = False

    def settings(self, min_area: int | None, part: str | None) -> ClassifySettings:
        """What they mean; see `ClassifySettings` for what is raised."""
        from mvrec_edge.runtime import ClassifySettings
        from mvrec_edge.runtime.gradual import parse_risk, parse_views
        from mvrec_edge.runtime.support.reject_rate import parse_rate

        return ClassifySettings(
            views=parse_views(self.views),
            risk=parse_risk(self.risk),
            budget_ms=self.budget_ms,
            reject_rate=None if self.reject_rate is None else parse_rate(self.reject_rate),
            drift_window=self.drift_window or None,
            neighbours=self.neighbours,
            min_area=min_area,
            region_input=self.region_input,
            part=part,
            recentre=self.recentre,
        )

    def in_report(self, views: str | int) -> dict[str, object]:
        """What a report says of them, where so many views are used."""
        return {
            "views used": views,
            "risk": self.risk if views == "auto" else None,
            "budget": None if self.budget_ms is None else f"{self.budget_ms:g} ms",
            "reject rate": self.reject_rate,
            "centre": "follows the line" if self.recentre else None,
        }


@flattened
def classify(
    bundle: BundlePath,
    cache: CachePath,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help=f"Images to classify: images with a mask beside them, or any of {FORMATS}. Labels are not needed.",
        ),
    ],
    *,
    results: _ResultOptions,
    deciding: _DecisionOptions,
    showing: PartOptions,
    reading: SourceOptions,
    min_area: MinArea = None,
    precision: PrecisionName = None,
    encoding: EngineOptions,
    overwrite: Overwrite = False,
) -> None:
    """Classify marked defects: write one record for each region, and one for each item that failed.

    SIGHUP (kill -HUP) makes 'classify' load the changed CACHE before the next image; with --report it is ignored.

    Example: mvrec-edge classify encoder.bundle line.safetensors incoming/ --out results.jsonl --overlay pictures/
    """
    from mvrec_edge.cli.reload_signal import ReloadSignal

    # Before anything that takes time: a request that comes early must not end the process.
    reload_signal = ReloadSignal()

    from mvrec_edge.cli.classifying import ClassifyRun
    from mvrec_edge.cli.console import say
    from mvrec_edge.cli.records import open_sink
    from mvrec_edge.cli.report import say_report
    from mvrec_edge.cli.resuming import Asked
    from mvrec_edge.cli.run_facts import RunFacts
    from mvrec_edge.cli.run_items import run_items
    from mvrec_edge.runtime import Bundle, SupportCache
    from mvrec_edge.runtime.classifier import matching_precision

    settings, places = deciding.settings(min_area, showing.part), results.places(overwrite=overwrite)
    outputs = results.outputs
    outputs.check([bundle, cache, *(path for path in inputs if not path.is_dir())])
    outputs.claim("--report")
    opened, loaded = Bundle.load(bundle, graphs=()), SupportCache.load(cache)
    # What does not go together, and what is not installed, is said before images are looked for.
    precision = matching_precision(opened, loaded, precision)
    settings.check_cache(loaded)
    encoding.check(opened, precision)
    told = settings.region_input or loaded.region_input
    sources, problems = showing.open_for(loaded, reading, inputs, region_input=told, outputs=outputs)
    facts = RunFacts.of(loaded, settings, cache_path=cache, bundle_path=bundle, precision=precision)
    items = run_items(sources)
    problems += [problem for source in sources for problem in source.problems]
    asked = Asked.of(inputs, items, problems)
    with (
        results.open_report(loaded, facts, overwrite=overwrite) as page,
        open_sink(places.of(loaded), facts, asked) as sink,
        encoding.open(opened, precision, say) as engine,
    ):
        run = ClassifyRun(items, problems, sink, page)
        run.describe(opened, cache, loaded, engine, deciding.in_report(settings.view_use(loaded).views))
        sink.begin(facts.on(engine))
        ended = run.classify(engine, loaded, settings, lambda reload: reload_signal.calls(lambda: reload(cache)))
    if isinstance(ended, BrokenPipeError):
        sink.say_kept(ended)
        raise ended
    if page is not None and reload_signal.arrived:
        _say_ignored()
    sink.say_summary()
    results.say_places()
    say_report(page)
    if ended is not None:
        sink.say_kept(ended)
        raise ended
    if sink.failures:
        raise typer.Exit(1)


def _say_ignored() -> None:
    from mvrec_edge.cli.console import say

    say(
        "warning: SIGHUP was ignored, because a --report shows one support cache: the cache stayed what it was at the "
        "start"
    )
