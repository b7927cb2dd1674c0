"""Runs `mvrec-edge` as a user types it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["MVREC_EDGE", "run"]

MVREC_EDGE = Path(sys.executable).with_name("mvrec-edge")


def run(
    *arguments: object, code: int = 0, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command and returns what it printed; it must end with the exit code `code` and never in a traceback."""
    result = subprocess.run(
        [MVREC_EDGE, *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", **(environment or {})},
    )
    assert result.returncode == code, f"exit code {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stdout + result.stderr
    return result
