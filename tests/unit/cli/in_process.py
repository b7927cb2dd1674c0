"""Runs a command line in this process, where starting one for each line would take longer than the command."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
import warnings
from dataclasses import dataclass
from unittest import mock

from mvrec_edge.cli import main

__all__ = ["Ended", "call"]


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: The exit code.
        out: What it printed on stdout.
        err: What it printed on stderr.
    """

    code: int
    out: str
    err: str


def call(*words: object) -> Ended:
    """Runs `mvrec-edge` with some words, as its entry point does."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    before, showing = signal.getsignal(signal.SIGTERM), warnings.showwarning
    with (
        mock.patch.object(sys, "argv", ["mvrec-edge", *map(str, words)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            signal.signal(signal.SIGTERM, before)
            warnings.showwarning = showing
    return Ended(code, out.getvalue(), err.getvalue())
