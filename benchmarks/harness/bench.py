"""A whole benchmark in one call."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mvrec_edge.bench.budget import Budget, fits_in_memory
from mvrec_edge.bench.candidates import EngineCandidate
from mvrec_edge.bench.cases import assemble, baseline_cases, check_checkpoint
from mvrec_edge.bench.record import make_record
from mvrec_edge.bench.round_robin import RoundRobin
from mvrec_edge.doctor.memory import read_memory
from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["measure_bundle"]


def measure_bundle(
    bundle: Bundle,
    candidates: Sequence[EngineCandidate],
    budget: Budget | None = None,
    *,
    torch: bool = True,
    checkpoint: Path | None = None,
    side_by_side: bool | None = None,
    bar: Callable[[int], AbstractContextManager[Callable[[int], None]]] | None = None,
) -> dict[str, Any]:
    """Measures candidates side by side.

    Args:
        bundle: A verified bundle.
        candidates: What `parse_candidates` or `default_candidates` gave.
        budget: How long; by default that of the command line.
        torch: Whether to measure the PyTorch baselines where they are possible.
        checkpoint: The weights of a bundle that was made from a checkpoint.
        side_by_side: Whether all workers live at once; by default where memory allows it.
        bar: Opens a progress bar for a number of steps.

    Returns:
        The record, in plain JSON types.

    Raises:
        EnvironmentUnfitError: No candidate could be opened.
        UsageError: The bundle has drawn weights and a checkpoint is given.
        IntegrityError: The checkpoint is not the bundle's.
    """
    budget = budget or Budget()
    if checkpoint is not None:
        check_checkpoint(bundle, checkpoint)
    baselines, unavailable = baseline_cases(bundle, candidates, budget, checkpoint) if torch else ((), {})
    cases = assemble(bundle, candidates, budget, baselines)
    if side_by_side is None:
        side_by_side = fits_in_memory(cases, read_memory().usable)
    schedule = RoundRobin(cases, budget, side_by_side=side_by_side)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    began = time.monotonic()
    if bar is None:
        schedule.run()
    else:
        with bar(schedule.visits) as advance:
            schedule.run(advance)
    record = make_record(schedule, bundle, unavailable, seconds=time.monotonic() - began, load_before=load)
    if not record["candidates"]:
        reason = record["unavailable"][0]["reason"] if record["unavailable"] else "none was asked for"
        raise EnvironmentUnfitError(f"no engine could be opened: {reason}", where=bundle.path)
    return record
