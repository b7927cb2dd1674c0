"""The entry point: the commands, the exit codes, and one line for every error."""

from __future__ import annotations

import signal
import sys
import traceback
import warnings
from typing import Annotated

import typer

from mvrec_edge import __version__
from mvrec_edge.cli.bench import bench
from mvrec_edge.cli.build import build
from mvrec_edge.cli.config.command import CONFIGURED, add_configured
from mvrec_edge.cli.demo import demo
from mvrec_edge.cli.doctor import doctor
from mvrec_edge.cli.export import export
from mvrec_edge.cli.init import init
from mvrec_edge.cli.inspect import inspect
from mvrec_edge.cli.settings import settings
from mvrec_edge.cli.support.app import support
from mvrec_edge.cli.verify import verify

__all__ = ["app", "main"]

_BUG = 70
_OUTPUT = 6
# What a shell reports for a process ended by SIGTERM.
_TERMINATED = 143

app = typer.Typer(
    name="mvrec-edge",
    help="Few-shot defect classification on the factory line: export an encoder once, calibrate on a few labelled "
    "defects, classify without PyTorch.",
    epilog="Exit codes: 0 done; 1 finished, but some items failed; 2 wrong usage; 3 bad input; 4 a file was changed "
    "or does not belong; 5 this machine cannot do it; 6 a result cannot be written; 7 a change would make things "
    "worse; 70 a bug.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(init)
app.command()(export)
app.command()(build)
for _name in CONFIGURED:
    add_configured(app, _name)
app.add_typer(support, name="support")
app.command()(inspect)
app.command()(settings)
app.command()(verify)
app.command()(bench)
app.command()(demo)
app.command()(doctor)


class _Settings:
    debug = False


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mvrec-edge {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    _Settings.debug = debug


def main() -> None:
    """Runs the command line; every error becomes one line on stderr and an exit code."""
    # Python does not unwind on its own when it is told to end, and an export would leave a gigabyte behind.
    signal.signal(signal.SIGTERM, _end)
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        app()
    except Exception as error:
        _fail(*_explain(error))


def _explain(error: Exception) -> tuple[str, int]:
    """The line and the exit code for an error."""
    # Imported here, because the runtime brings numpy and OpenCV along, which `--help` has no use for.
    from mvrec_edge.runtime.errors import MvrecEdgeError

    if isinstance(error, MvrecEdgeError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}", _OUTPUT
    return (
        f"this is a bug in mvrec-edge: {type(error).__name__}: {error} "
        "(run 'mvrec-edge --debug ...' and report what it prints)",
        _BUG,
    )


def _fail(message: str, exit_code: int) -> None:
    if _Settings.debug:
        traceback.print_exc()
    typer.echo("error: " + " ".join(message.split()), err=True)
    sys.exit(exit_code)


def _end(*_: object) -> None:
    sys.exit(_TERMINATED)


def _show_warning(message: Warning | str, *_: object) -> None:
    typer.echo(f"warning: {message}", err=True)
