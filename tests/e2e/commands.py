"""Runs `mvrec-edge` as a user types it.

`run` calls it in this process, which saves the second that Python takes to load the libraries; `run_process` starts a
process of its own, for what only a process shows.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO
from unittest import mock

from mvrec_edge.cli import main

__all__ = ["MVREC_EDGE", "error_line", "run", "run_process"]

MVREC_EDGE = Path(sys.executable).with_name("mvrec-edge")
_WIDTH = 200
_QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


def _ignore(_: str) -> None:
    """Where nobody acts on what is said."""


def run(
    *arguments: object,
    code: int | None = 0,
    cwd: Path | None = None,
    columns: int = _WIDTH,
    encoding: str = "utf-8",
    on_line: Callable[[str], None] = _ignore,
) -> subprocess.CompletedProcess[str]:
    """Runs a command and returns what it printed; it must never end in a traceback.

    Args:
        *arguments: The words of the command line after the program's name.
        code: The exit code that it must end with; None for any.
        cwd: The folder it is run in, by default the present one.
        columns: How wide the terminal is.
        encoding: Of stdout.
        on_line: Given what goes to stderr, piece by piece, for a test that acts when something is said.
    """
    words = [str(MVREC_EDGE), *map(str, arguments)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        streams = (_written_to(1, out, encoding), _written_to(2, err, "utf-8", on_line))
        with _as_a_process(words, cwd, columns), streams[0], streams[1]:
            returned = _exit_code()
        printed = [_read(out, encoding), _read(err, "utf-8")]
    return _checked(subprocess.CompletedProcess(words, returned, *printed), code)


def run_process(
    *arguments: object, code: int | None = 0, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own, with these variables beside those of this process."""
    result = subprocess.run(
        [MVREC_EDGE, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "COLUMNS": str(_WIDTH), **(environment or {})},
    )
    return _checked(result, code)


def error_line(result: subprocess.CompletedProcess[str]) -> str:
    """The one line that a command has to say of an error; beside it, it may have said what it recognised."""
    (line,) = (line for line in result.stderr.splitlines() if ": read as " not in line)
    assert line.startswith("error: ")
    return line


def _checked(result: subprocess.CompletedProcess[str], code: int | None) -> subprocess.CompletedProcess[str]:
    assert code in (None, result.returncode), f"exit code {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stdout + result.stderr
    return result


def _exit_code() -> int:
    try:
        main.main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


@contextlib.contextmanager
def _as_a_process(words: list[str], cwd: Path | None, columns: int) -> Iterator[None]:
    """What a process of its own would have: arguments, a folder, a width, fresh warnings and signals."""
    arguments, before = sys.argv, Path.cwd()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    width = os.environ.get("COLUMNS")
    sys.argv = words
    os.environ["COLUMNS"] = str(columns)
    # A shell ignores SIGINT in what it starts in the background, and so would everything below it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        os.chdir(cwd or before)
        with warnings.catch_warnings(), mock.patch.object(main._Settings, "told_to_end", False):
            warnings.resetwarnings()
            for category in _QUIET:
                warnings.simplefilter("ignore", category)
            yield
    finally:
        sys.argv = arguments
        os.chdir(before)
        os.environ.pop("COLUMNS")
        if width is not None:
            os.environ["COLUMNS"] = width
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _written_to(
    number: int, target: IO[bytes], encoding: str, on_written: Callable[[str], None] = _ignore
) -> Iterator[None]:
    """Leads a standard stream into a file: what Python writes, what libraries write past it, and what children do."""
    name = "stdout" if number == 1 else "stderr"
    stream, saved = getattr(sys, name), os.dup(number)
    stream.flush()
    os.dup2(target.fileno(), number)
    errors = "strict" if number == 1 else "backslashreplace"
    with _Stream(io.FileIO(number, "w", closefd=False), encoding, errors, write_through=True) as text:
        text.on_written = on_written
        setattr(sys, name, text)
        try:
            yield
        finally:
            setattr(sys, name, stream)
            text.flush()
            os.dup2(saved, number)
            os.close(saved)


class _Stream(io.TextIOWrapper):
    """Tells of each piece that Python writes."""

    on_written: Callable[[str], None] = staticmethod(_ignore)

    def write(self, text: str) -> int:
        count = super().write(text)
        self.on_written(text)
        return count


def _read(stream: IO[bytes], encoding: str) -> str:
    stream.seek(0)
    # As a process's output is read: with line ends of every system.
    return stream.read().decode(encoding).replace("\r\n", "\n")
