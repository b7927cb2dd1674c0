"""`mvrec-edge doctor`: what this machine can run, and the command that would fix each problem."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.console import escaped, say, show, show_json
from mvrec_edge.cli.options import Json

if TYPE_CHECKING:
    from mvrec_edge.doctor import Diagnosis

__all__ = ["doctor"]

_UNFIT = 5
_MARKS = {
    "ok": ("ok", typer.colors.GREEN),
    "note": ("note", typer.colors.BLUE),
    "warning": ("warning", typer.colors.YELLOW),
    "problem": ("PROBLEM", typer.colors.RED),
}


def doctor(
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="BUNDLE",
            help="Bundle to check as well: whether it is whole, and which engines run it; by default none is checked.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what this machine can run, and the command that would fix each problem.

    Each library runs graphs of a few hundred bytes, which takes some seconds.

    Exit code 0: at least one engine works; 5: no engine works; 3 or 4: the bundle cannot be used.

    Example: mvrec-edge doctor --bundle encoder.bundle
    """
    try:
        from mvrec_edge.doctor import examine_machine
    except ImportError as error:
        # Without numpy or OpenCV there is nothing to examine with, but still something to say.
        say(f"error: a library that is always needed does not load: {error}")
        # The runtime, which knows how mvrec-edge was installed, does not load without them either.
        pip = [sys.executable, "-m", "pip", "install", "--force-reinstall"]
        say("       " + shlex.join([*pip, "numpy", "opencv-python-headless", "safetensors"]))
        raise typer.Exit(_UNFIT) from error
    diagnosis = examine_machine(bundle=bundle)
    if as_json:
        show_json(diagnosis.to_dict())
    else:
        _show(diagnosis)
    if not diagnosis.usable:
        raise typer.Exit(_UNFIT)
    if diagnosis.bundle is not None:
        raise typer.Exit(diagnosis.bundle.exit_code)


def _show(diagnosis: Diagnosis) -> None:
    from mvrec_edge.cli.machine_text import machine_lines

    for key, value in machine_lines(diagnosis):
        show(f"{key:<11}{value}")
    show()
    for finding in diagnosis.findings:
        word, colour = _MARKS[finding.level]
        text = escaped(f"{finding.subject}: {finding.text}")
        typer.echo(f"{typer.style(f'{word:<8}', fg=colour)} {text}")
        if finding.fix is not None:
            show(f"{'':<9}fix: {finding.fix}")
