"""`--report`: what the commands tell a report about their run."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mvrec_edge.runtime import Bundle, Engine, SupportCache
    from mvrec_edge.runtime.report import ReportWriter, Section

__all__ = ["encoder_section", "open_report", "run_section", "run_sections", "say_report", "support_section"]


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

    head = cache.head
    values: dict[str, object] = {
        "cache": name,
        "classes": len(cache.class_names),
        "instances": ", ".join(f"{name}: {count}" for name, count in cache.counts.items()),
        "shots": None if cache.shots is None else f"{cache.shots} of each class, seed {cache.seed}",
        "views": cache.view_plan,
        "head": f"{head.name}, beta {head.beta:g}, {head.aggregate}, temperature {head.temperature:.3g}",
        "fingerprint": cache.fingerprint[:16],
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
    path: Path | None, cache: SupportCache, title: str, *, overwrite: bool
) -> contextlib.AbstractContextManager[ReportWriter | None]:
    """A report to be written when the block ends, or None where none was asked for.

    Raises:
        OutputError: The file exists already, or its folder does not.
    """
    if path is None:
        return contextlib.nullcontext()
    from mvrec_edge.runtime.report import ReportWriter

    return ReportWriter(path, cache, title=title, overwrite=overwrite)


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
