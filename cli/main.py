"""The entry point: the commands, the exit codes, and one line for every error."""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import os
import signal
import sys
import traceback
import warnings
from typing import Annotated, Any

import typer
import typer.main

from mvrec_edge import __version__
from mvrec_edge.cli.console import say, spell_out_what_is_missing
from mvrec_edge.cli.lazy_group import UNREAD, lazy_group
from mvrec_edge.cli.shell_word import join_bash_words
from mvrec_edge.cli.standard_streams import (
    drop_unwritten,
    fill_closed_streams,
    give_up_what_stderr_does_not_take,
)

__all__ = ["app", "main"]

_BUG = 70
_OUTPUT = 6
_UNFIT = 5
# What a shell reports for a process ended by SIGTERM.
_TERMINATED = 143

#: The commands in the order of the help, each a function in the module of its name. To add one, add it here.
_COMMANDS = (
    *("init", "export", "build", "calibrate", "classify", "evaluate", "inspect", "settings", "verify", "bench"),
    *("demo", "doctor", "report", "support"),
)


def _load(name: str) -> Any:
    """Makes one command, as typer makes it of a function."""
    if name == "support":
        from mvrec_edge.cli.support.app import support

        return typer.main.get_group(support)
    from mvrec_edge.cli.config.command import CONFIGURED, add_configured

    alone = typer.Typer(add_completion=False)
    if name in CONFIGURED:
        add_configured(alone, name)
    else:
        alone.command(name)(getattr(importlib.import_module(f"mvrec_edge.cli.{name}"), name))
    return typer.main.get_command(alone)


app = typer.Typer(
    name="mvrec-edge",
    cls=lazy_group({name: functools.partial(_load, name) for name in _COMMANDS}),
    help="Few-shot defect classification on the factory line: export an encoder once, calibrate on a few labelled "
    "defects, classify without PyTorch.",
    epilog="Exit codes: 0 done; 1 finished, but some items failed; 2 wrong usage; 3 bad input; 4 a file was "
    "changed, or two files do not belong together; 5 this machine cannot do it; 6 a result cannot be "
    "written; 7 a change would make the support cache worse; 8 another process is writing there; 70 a bug in "
    "mvrec-edge; 130 Ctrl-C; 141 whoever read stdout has gone; 143 SIGTERM.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Settings:
    debug = False
    told_to_end = False


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
    fill_closed_streams()
    give_up_what_stderr_does_not_take()
    # Python does not unwind on its own when it is told to end, and an export would leave a gigabyte behind.
    signal.signal(signal.SIGTERM, _end)
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    spell_out_what_is_missing()
    join_bash_words(os.environ)
    try:
        try:
            # Its own name, whoever started it: the shells look for their answer under that name.
            app(prog_name="mvrec-edge")
        finally:
            # What is still in the buffer may find no reader, too, and Python would say so when it ends.
            sys.stdout.flush()
    except BrokenPipeError:
        _end_unread()
    except Exception as error:
        # PyTorch wraps whatever ends its tracing, the end of the process included.
        if _Settings.told_to_end:
            sys.exit(_TERMINATED)
        _fail(*_explain(error))


_OUT_OF_MEMORY = (
    "there is not enough memory (close other programs, or give smaller images, a smaller --batch or fewer --threads)"
)
# What libraries say where the system gives them no memory, each under an error of its own.
_NO_MEMORY = (
    *("bad_alloc", "cannot allocate memory", "failed to allocate memory", "insufficient memory"),
    # What the loader says of a library for which there is no address space.
    *("failed to map segment", "cannot create shared object descriptor", "cannot map zero-fill pages"),
)
# The same words about a disk from which nothing may be run.
_NOT_PERMITTED = ("operation not permitted", "permission denied")


def _explain(error: Exception) -> tuple[str, int]:
    """The line and the exit code for an error."""
    # First, since loading the errors takes memory, too. An error of ours may be about a library that did not load.
    unloaded = error if isinstance(error, ImportError) else error.__cause__
    if (
        isinstance(error, MemoryError)
        or getattr(error, "errno", None) == errno.ENOMEM
        or (isinstance(unloaded, ImportError) and _lacks_memory(unloaded))
    ):
        return _OUT_OF_MEMORY, _UNFIT
    # Imported here, because the runtime brings numpy and OpenCV along, which `--help` has no use for.
    from mvrec_edge.runtime.errors import MvrecEdgeError

    if isinstance(error, MvrecEdgeError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        reason = str(error.strerror or error)
        # Whatever writes a file names it; what is left without a name is what is printed.
        unwritten = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
        unnamed = f"stdout: cannot be written: {reason}" if unwritten else reason
        return f"{error.filename}: {reason}" if error.filename else unnamed, _OUTPUT
    if _lacks_memory(error):
        return _OUT_OF_MEMORY, _UNFIT
    return (
        f"this is a bug in mvrec-edge: {type(error).__name__}: {error} "
        "(run 'mvrec-edge --debug ...' and report what it prints)",
        _BUG,
    )


def _lacks_memory(error: Exception) -> bool:
    """Whether a library says that it got no memory."""
    said = str(error).lower()
    return any(words in said for words in _NO_MEMORY) and not any(words in said for words in _NOT_PERMITTED)


def _fail(message: str, exit_code: int) -> None:
    if _Settings.debug:
        traceback.print_exc()
    # The exit code says it where stderr cannot.
    with contextlib.suppress(OSError, ValueError):
        say("error: " + " ".join(message.split()))
    drop_unwritten()
    sys.exit(exit_code)


def _end_unread() -> None:
    """Ends quietly where whoever read stdout has gone, as `head -1` does."""
    drop_unwritten()
    sys.exit(UNREAD)


def _end(*_: object) -> None:
    _Settings.told_to_end = True
    sys.exit(_TERMINATED)


def _show_warning(message: Warning | str, *_: object) -> None:
    say(f"warning: {' '.join(str(message).split())}")
