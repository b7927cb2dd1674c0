"""What a hostile name cannot make a terminal do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.harness.campaign import Campaign, Finding, Tally
from tests.harness.messages.on_terminal import COMMANDS, FORBIDDEN

__all__ = ["TerminalEscapes"]

_REPOSITORY = Path(__file__).resolve().parents[3]
_BUG = 70


class TerminalEscapes(Campaign):
    """Each trial is one command on a pseudo-terminal, with hostile names, labels, options and file contents."""

    name = "terminal-escapes"
    goal = "no name, label or content of a file reaches a terminal as something that it obeys"
    short = full = len(COMMANDS)
    chunk = len(COMMANDS)
    at_once = 1

    def run(self, trials: range, folder: Path) -> Tally:
        """Looks for the bytes of the hostile names in what the terminal got."""
        words = [sys.executable, "-m", "tests.harness.messages.on_terminal", folder, trials.start, trials.stop]
        quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MVREC_EDGE_CACHE": str(folder / "cache")}
        ended = subprocess.run(
            [str(word) for word in words],
            cwd=_REPOSITORY,
            env={**os.environ, **quiet},
            stdout=subprocess.PIPE,
            check=True,
        )
        tally = Tally()
        for line in ended.stdout.decode().splitlines():
            trial, code, got = json.loads(line)
            printed = got.encode("latin-1")
            tally.trials += 1
            tally.counts[f"exit code {code}"] += 1
            tally.counts["names shown, spelled out"] += any(
                sign in printed for sign in (b"\\x1b", b"\\u001b", b"\\u202e")
            )
            wrong = [what for what, sequence in FORBIDDEN.items() if sequence in printed]
            if code == _BUG or b"Traceback" in printed:
                wrong.append("a bug")
            if wrong:
                shown = " ".join(COMMANDS[trial][:2])
                tally.findings.append(Finding(trial, f"{shown!r}: {', '.join(wrong)}: {printed[-300:]!r}"))
        return tally
