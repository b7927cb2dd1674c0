"""Standard streams that the caller has closed, or that take nothing any more."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any

__all__ = ["drop_unwritten", "fill_closed_streams", "give_up_what_stderr_does_not_take"]

# Nothing can be written to what is open for reading alone: whoever prints finds out that nobody reads it.
_OPENED = (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY))


def fill_closed_streams() -> None:
    """Gives the number of each standard stream that the caller has closed to the null device.

    Python has no stream in its place, and the next file that is opened would get the number: what a library prints
    would go into that file.
    """
    for number, (name, mode) in enumerate(_OPENED):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free is this one.
            os.set_inheritable(os.open(os.devnull, mode), True)
        if getattr(sys, name) is None:
            raw = io.FileIO(number, "r" if name == "stdin" else "w", closefd=False)
            buffered = io.BufferedReader(raw) if name == "stdin" else io.BufferedWriter(raw)
            setattr(sys, name, io.TextIOWrapper(buffered, "utf-8", "backslashreplace"))


class _Forgiving(io.FileIO):
    """A file that takes everything, and loses what the system does not take."""

    def write(self, data: Any, /) -> int:
        size = memoryview(data).nbytes
        try:
            # None where it would have to wait.
            written: int | None = super().write(data)
        except OSError:
            return size
        return size if written is None else written


def give_up_what_stderr_does_not_take() -> None:
    """Makes stderr lose what it cannot write, as on a full disk or where its reader has gone.

    What is said there is for the reader alone. A message, a warning or a bar that nobody gets must not end a run whose
    results can be written; the exit code says how it ended.
    """
    before = sys.__stderr__
    # Whatever a program that calls us has put in its place is its own.
    if before is None or sys.stderr is not before:
        return
    raw = _Forgiving(before.fileno(), "w", closefd=False)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw), before.encoding, before.errors or "backslashreplace", line_buffering=True
    )


def drop_unwritten() -> None:
    """Gives up what stdout and stderr cannot write; Python would try once more when it ends, and say so."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
