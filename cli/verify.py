"""`mvrec-edge verify`: does this machine compute what the export did?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.completion import complete_listed, complete_name, engines_with_providers, precisions
from mvrec_edge.cli.options import BundlePath, Json, Threads

if TYPE_CHECKING:
    from mvrec_edge.runtime.engines.verification import Verdict

__all__ = ["verify"]


def verify(
    bundle: BundlePath,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            "--engine",
            autocompletion=complete_name(engines_with_providers),
            help="Engine to check, such as openvino, onnxruntime:cuda or tensorrt; the option may be given "
            "several times. By default onnxruntime and openvino, where they are installed.",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            autocompletion=complete_listed(precisions),
            help="Precisions of the graphs to check, such as fp16,int8; by default all in the bundle.",
            show_default=False,
        ),
    ] = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Run a bundle's golden views on this machine, and compare the answers with those at export.

    Exit code 0: at least one graph was run, and every graph that was run passed; 1: a graph failed, or an engine
    named with --engine did not run; 5: no graph could be run.

    Example: mvrec-edge verify encoder.bundle --engine openvino --engine onnxruntime
    """
    from mvrec_edge.cli.console import count_bar, say, show, show_json
    from mvrec_edge.runtime import Bundle
    from mvrec_edge.runtime.bundle import parse_precisions
    from mvrec_edge.runtime.engines.choice import installed_engines
    from mvrec_edge.runtime.engines.verification import verify_bundle
    from mvrec_edge.runtime.errors import EnvironmentUnfitError

    opened = Bundle.load(Path(bundle))
    for plan in opened.manifest.plans:
        # Every file was hashed when the bundle was opened.
        say(f"{plan.file}: its hash is that of the manifest; for {plan.library} {plan.release}; not run here")
    wanted = None if precision is None else parse_precisions(precision)
    for name in wanted or ():
        opened.manifest.graph(name)
    named = [_pair(item) for item in engine or ()]
    engines = named or installed_engines()
    total = len(engines) * len(wanted or opened.precisions)
    with count_bar("verifying", total, "graphs") as advance:
        verdicts = list(verify_bundle(opened, engines, wanted, threads=threads, say=say, progress=advance))
    if as_json:
        import dataclasses

        rows = [dataclasses.asdict(verdict) | {"passed": verdict.passed} for verdict in verdicts]
        show_json({"bundle": str(bundle), "verdicts": rows})
    else:
        for verdict in verdicts:
            show(_line(verdict))
    if all(verdict.passed is None for verdict in verdicts):
        raise EnvironmentUnfitError("no engine could run any graph of the bundle", fix="run 'mvrec-edge doctor'")
    if any(verdict.passed is False or (named and verdict.passed is None) for verdict in verdicts):
        raise typer.Exit(1)


def _pair(text: str) -> tuple[str, str | None]:
    name, _, provider = text.partition(":")
    return name, provider or None


def _line(verdict: Verdict) -> str:
    head = f"{verdict.engine:<18}{verdict.precision:<6}"
    if verdict.cosine is None or verdict.reference_cosine is None:
        return f"{head}not run  {verdict.reason}"
    word = "pass" if verdict.passed else "FAIL"
    line = (
        f"{head}{word:<9}cosine {verdict.cosine:.7f} to the export (limit {verdict.limit}), "
        f"{verdict.reference_cosine:.7f} to float32; {verdict.device}"
    )
    if verdict.cut_difference is None:
        return line
    line += f": at most {verdict.cut_difference} of 255"
    return f"{line} from the views that are cut on the CPU (limit {verdict.cut_limit})"
