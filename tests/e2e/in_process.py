"""Runs `mvrec-edge` in the process of the tests, where what is tried needs no process of its own."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from unittest.mock import patch

from mvrec_edge.cli import main

__all__ = ["Ended", "run_here"]

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code.
        stdout: What it printed.
        stderr: What it said.
    """

    code: int
    stdout: str
    stderr: str


class _Stderr(io.StringIO):
    """Passes on each line, for a test that has to act when something is said."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        super().__init__()
        self._on_line = on_line

    def write(self, text: str) -> int:
        count = super().write(text)
        self._on_line(text)
        return count


def run_here(
    *arguments: object, code: int = 0, encoding: str = "utf-8", on_line: Callable[[str], None] = lambda _: None
) -> Ended:
    """Runs a command and returns what it printed; it must end with the exit code `code`.

    Args:
        *arguments: The words of the command line after the program's name.
        code: The exit code that is expected.
        encoding: Of stdout.
        on_line: Given what goes to stderr, piece by piece.
    """
    out, said = io.TextIOWrapper(io.BytesIO(), encoding=encoding), _Stderr(on_line)
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    argv = ["mvrec-edge", *(str(argument) for argument in arguments)]
    ended = 0
    try:
        with (
            warnings.catch_warnings(),
            patch.object(sys, "argv", argv),
            patch.object(main._Settings, "told_to_end", False),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(said),
        ):
            warnings.simplefilter("default")
            main.main()
    except SystemExit as exit_:
        ended = exit_.code if isinstance(exit_.code, int) else 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    out.flush()
    printed = out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert ended == code, f"exit code {ended}\n{printed}\n{said.getvalue()}"
    return Ended(ended, printed, said.getvalue())
