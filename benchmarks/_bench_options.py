"""What the scripts over `mvrec-edge bench` share: their options, and what they measure."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mvrec_edge.bench.budget import Budget
from mvrec_edge.bench.candidates import EngineCandidate, default_candidates, parse_candidates
from mvrec_edge.runtime import Bundle

__all__ = ["bench_options", "wanted_candidates"]


def bench_options(description: str | None, result: str, seconds_for: str) -> argparse.ArgumentParser:
    """A parser of the options that these scripts have in common.

    Args:
        description: What the script asks.
        result: File name of the result.
        seconds_for: What the seconds are spent on.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / result)
    parser.add_argument("--engine", action="append", help="as for mvrec-edge bench; by default all that open")
    parser.add_argument("--rounds", type=int, default=Budget.rounds)
    parser.add_argument("--seconds", type=float, default=Budget.seconds, help=f"for {seconds_for}")
    parser.add_argument("--threads", type=int)
    return parser


def wanted_candidates(engines: list[str] | None, bundle: Bundle) -> Sequence[EngineCandidate]:
    """The candidates that `--engine` names, or else all that open."""
    return parse_candidates(engines, bundle.precisions) if engines else default_candidates(bundle.precisions)
