"""`mvrec-edge report`, and what `--report` of other commands tells a report about their run."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mvrec_edge.cli.options import Overwrite

if TYPE_CHECKING:
    from mvrec_edge.runtime import Bundle, Engine, SupportCache
    from mvrec_edge.runtime.report import AddCommand, ReportWriter, Section

__all__ = ["encoder_section", "open_report", "report", "run_section", "run_sections", "say_report", "support_section"]


def report(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="JSON Lines file that 'mvrec-edge classify --out' wrote.")
    ],
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            help="Support cache that the defects were compared with; by default the one that the records name.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            metavar="DIR",
            help="Folder to look for the images in, if they were moved; by default they are where the records say.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="HTML report to write; by default it has the name of RESULTS with the ending .html.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the report of a run that has ended, from its records and images, without an encoder.

    The pictures show boxes, and the regions have no places on the map: records hold neither masks nor embeddings.

    Example: mvrec-edge report results.jsonl --cache line.safetensors --images incoming/ --out report.html
    """
    from mvrec_edge.cli.console import say, say_problems
    from mvrec_edge.cli.output_paths import Outputs
    from mvrec_edge.cli.recorded import add_recorded, recorded_images
    from mvrec_edge.cli.results_file import last_run, read_results
    from mvrec_edge.runtime import SupportCache
    from mvrec_edge.runtime.errors import InputError
    from mvrec_edge.runtime.report import AddCommand

    if images is not None and not images.is_dir():
        raise InputError("there is no such folder", where=images, fix="check the path given with --images")
    target = out or results.with_suffix(".html")
    outputs = Outputs({"--out": target})
    outputs.check([results, cache])
    run = last_run(results)
    place = cache or _named_cache(results, run)
    outputs.check_read([place, *recorded_images(read_results(results), images)])
    loaded = SupportCache.load(place)
    command = AddCommand(str(place), str(run["bundle"]), run.get("min_area")) if "bundle" in run else None
    outputs.claim("--out")
    with open_report(target, loaded, f"Classified with {place.name}", overwrite=overwrite, command=command) as page:
        assert page is not None  # noqa: S101 - a path was given
        page.add_details(_records_section(results, run), support_section(loaded, place.name))
        if run.get("cache_digest", loaded.digest) != loaded.digest:
            text = f"the records were made with another state of the support cache than {place} is in now"
            say(f"warning: {text}")
            page.note(f"{text[0].upper()}{text[1:]}.")
        wrong = add_recorded(page, read_results(results), images)
        if wrong and not page.regions:
            raise InputError(wrong[0].what, where=wrong[0].where, fix=wrong[0].fix)
    say_problems(wrong)
    say_report(page)
    if wrong:
        raise typer.Exit(1)


def _named_cache(results: Path, run: Mapping[str, Any]) -> Path:
    """The support cache that the records name, where it is there."""
    from mvrec_edge.runtime.errors import InputError, UsageError

    named = run.get("cache")
    if not isinstance(named, str):
        raise UsageError("the records do not name their support cache", where=results, fix="give it with --cache")
    place = Path(named)
    if not place.exists():
        where_else = "" if place.is_absolute() else ", or run 'report' in the folder in which 'classify' was run"
        raise InputError(
            "the records name this support cache, and it is not here", where=place, fix=f"give --cache{where_else}"
        )
    return place


def _records_section(results: Path, run: Mapping[str, Any]) -> Section:
    """What the last record says of its run."""
    from mvrec_edge.runtime.report import Section

    names = ("version", "bundle", "precision", "engine", "device", "views", "risk", "reject_rate")
    facts = {name.replace("_", " "): run.get(name) for name in names}
    return Section.of("Run", {"command": "mvrec-edge classify", "records": results.name, **facts})


def run_section(command: str, options: Mapping[str, object] | None = None) -> Section:
    """The command, its version, and those of its options that decide what comes out."""
    from mvrec_edge import __version__
    from mvrec_edge.runtime.report import Section

    return Section.of("Run", {"command": f"mvrec-edge {command}", "version": __version__, **(options or {})})


def encoder_section(bundle: Bundle, engine: Engine) -> Section:
    """The bundle and what ran it."""
    from mvrec_edge.runtime.report import Section

    about: dict[str, object] = {
        "bundle": bundle.path.name,
        "encoder": bundle.architecture.name,
        "weights": bundle.weights,
        "engine": engine.name,
        "device": engine.device,
        "precision": engine.precision,
        "views at once": engine.batch,
        "fingerprint": engine.fingerprint[:16],
    }
    return Section.of("Encoder", about)


def support_section(cache: SupportCache, name: str) -> Section:
    """What was classified against.

    Args:
        cache: The support cache.
        name: Its file's name, or where it came from in words.
    """
    from mvrec_edge.runtime.report import Section

    fits = {"": cache.head} if cache.part_fits is None else {f"{fit.name}: ": fit.head for fit in cache.part_fits.parts}
    values: dict[str, object] = {
        "cache": name,
        "parts": ", ".join(cache.part_names) or None,
        "classes": len(cache.class_names),
        "instances": ", ".join(f"{name}: {count}" for name, count in cache.counts.items()),
        "shots": None if cache.shots is None else f"{cache.shots} of each class, seed {cache.seed}",
        "views": cache.view_plan,
        "head": "; ".join(f"{part}{head}, temperature {head.temperature:.3g}" for part, head in fits.items()),
        "fingerprint": cache.fingerprint[:16],
        "digest": cache.digest,
        "right at least": None if cache.review is None else f"{100 * cache.review.right_at_least:g}%",
    }
    return Section.of("Support", values)


def run_sections(
    command: str,
    cache: SupportCache,
    cache_name: str,
    *,
    bundle: Bundle,
    engine: Engine,
    options: Mapping[str, object] | None = None,
) -> tuple[Section, ...]:
    """All that is to be said about a run with one engine and one support cache."""
    return run_section(command, options), encoder_section(bundle, engine), support_section(cache, cache_name)


def open_report(
    path: Path | None,
    cache: SupportCache,
    title: str,
    *,
    overwrite: bool,
    resume: bool = False,
    command: AddCommand | None = None,
) -> contextlib.AbstractContextManager[ReportWriter | None]:
    """A report to be written when the block ends, or None where none was asked for.

    Args:
        path: The HTML file, or None.
        cache: The support cache that is classified against.
        title: The page's title.
        overwrite: Whether to replace a file that is there.
        resume: Whether to replace a report that is there, as the run goes on that wrote it when it was interrupted.
        command: What the command that adds a region needs; by default the page offers none.

    Raises:
        OutputError: The file exists already, or its folder is a file.
    """
    if path is None:
        return contextlib.nullcontext()
    from mvrec_edge.runtime.report import ReportWriter
    from mvrec_edge.runtime.report.report_writer import is_report

    overwrite = overwrite or (resume and is_report(path))
    return ReportWriter(path, cache, title=title, overwrite=overwrite, command=command)


def say_report(report: ReportWriter | None) -> None:
    """Says where the report is, how large it became, and what was left out of it."""
    from mvrec_edge.cli.console import say
    from mvrec_edge.runtime.wording import counted

    if report is None or report.summary is None:
        return
    done = report.summary
    say(f"report: {done.path}, {counted(done.regions, 'region')}, {done.size / 1e6:.1f} MB")
    for sentence in done.left_out:
        say(f"report: {sentence}")
