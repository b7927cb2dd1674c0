"""Reading what an operating system says about itself: small files below a root, and programs with a time limit."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ProgramOutput", "read_integer", "read_text", "run_program"]

# The package list of a board with a desktop is the largest of these files: several megabytes.
_LARGEST = 1 << 25
_LONGEST_MESSAGE = 400


@dataclass(frozen=True)
class ProgramOutput:
    """What a program answered.

    Attributes:
        text: Its standard output; empty where it failed.
        failure: Why there is none, in one line; None where it ran well.
    """

    text: str
    failure: str | None = None


def read_text(root: Path, name: str) -> str | None:
    """A small text file below `root`, without zero bytes and outer blanks; None where it cannot be read."""
    try:
        with (root / name).open("rb") as stream:
            data = stream.read(_LARGEST)
    except (OSError, ValueError):
        return None
    # The device tree ends its texts with a zero byte.
    return data.decode("utf-8", "replace").replace("\0", "").strip()


def read_integer(root: Path, name: str) -> int | None:
    """A file that holds one whole number; None where it holds anything else."""
    text = read_text(root, name)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def run_program(name: str, *arguments: str, timeout: float = 15.0) -> ProgramOutput | None:
    """Runs a program that is on the `PATH`.

    Args:
        name: The program.
        *arguments: Its arguments.
        timeout: Seconds after which it is ended.

    Returns:
        What it answered, or why it did not; None where there is no such program.
    """
    program = shutil.which(name)
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 (the callers name fixed programs)
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ProgramOutput("", f"{name} did not answer within {timeout:g} s")
    except OSError as error:
        return ProgramOutput("", f"{name} cannot be started: {error.strerror or error}")
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        said = " ".join((output + " " + done.stderr.decode("utf-8", "replace")).split())
        return ProgramOutput("", f"{name} ended with {done.returncode}: {said[:_LONGEST_MESSAGE]}")
    return ProgramOutput(output)
