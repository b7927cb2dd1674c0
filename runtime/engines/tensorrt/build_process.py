"""The process that builds a plan: reads one JSON request on stdin, writes JSON lines on stdout.

Building takes several times the memory of running, and a board that has too little kills the process that asks for
it; here that is this one, and whoever waits for the plan can say what happened.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.engines.tensorrt.builder import build_plan
from mvrec_edge.runtime.engines.tensorrt.flavour import FLAVOURS
from mvrec_edge.runtime.engines.tensorrt.profile import parse_profile
from mvrec_edge.runtime.errors import MvrecEdgeError
from mvrec_edge.runtime.files import atomic_write
from mvrec_edge.runtime.processes.child_process import answer_stream, end_with_parent, send_answer

__all__ = ["main"]


def main() -> None:
    """Builds what the request says; the last line is `{"done": true}` or an error with its exit code."""
    request: dict[str, Any] = json.loads(sys.stdin.readline())
    end_with_parent()
    answers = answer_stream()

    def say(message: dict[str, Any]) -> None:
        send_answer(answers, message)

    try:
        plan = build_plan(
            FLAVOURS[request["for"]],
            Path(request["graph"]),
            request["image_size"],
            parse_profile(request["profile"]),
            workspace=request["workspace"],
            timing_cache=None if request["timing_cache"] is None else Path(request["timing_cache"]),
            capabilities=request["capabilities"],
            progress=lambda phase, step, steps: say({"phase": phase, "step": step, "steps": steps}),
        )
        with atomic_write(Path(request["target"])) as stream:
            stream.write(plan)
    except MvrecEdgeError as error:
        say({"error": error.what, "where": error.where, "fix": error.fix, "exit_code": error.exit_code})
    else:
        say({"done": True})


if __name__ == "__main__":
    main()
