"""Runs the command line as a user does, and asks the operating system what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["run_command"]

_MVREC_EDGE = Path(sys.executable).with_name("mvrec-edge")


def run_command(*arguments: object) -> tuple[str, int]:
    """Runs `mvrec-edge`, and returns what it printed and the bytes it held at most.

    A command that fails ends the benchmark with the same exit code.
    """
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(  # noqa: S603 (our own program)
            [str(_MVREC_EDGE), *(str(argument) for argument in arguments)], stdout=out
        )
        # Of this child alone; what `resource` knows is the largest of all children so far.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(process.returncode)
        out.seek(0)
        return out.read().decode(), usage.ru_maxrss * 1024
