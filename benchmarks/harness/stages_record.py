"""What one defect takes from the image file to the class, stage by stage, for each candidate."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from mvrec_edge.bench.cases import STAGES_MEMBER
from mvrec_edge.bench.round_robin import RoundRobin
from mvrec_edge.bench.stages import STAGES

__all__ = ["stage_rows"]


def stage_rows(schedule: RoundRobin, candidates: Sequence[Mapping[str, Any]], recipe: str) -> dict[str, Any] | None:
    """The stages around the encoder, and their shares with each candidate as the encoder.

    Args:
        schedule: A schedule that has run.
        candidates: The candidates' rows of the record.
        recipe: The view recipe that was cut.

    Returns:
        Plain JSON types; None where the stages were not measured.
    """
    samples = schedule.samples.get(STAGES_MEMBER)
    if samples is None:
        return None
    around: dict[str, float] = {}
    for stage in STAGES:
        rounds = samples.times.get((stage, 1), {})
        if every := [seconds for times in rounds.values() for seconds in times]:
            around[stage] = statistics.median(every) * 1e3
    if len(around) < len(STAGES):
        return {"error": samples.error or "the stages were not measured"}
    views = schedule.budget.views
    rows = []
    for candidate in candidates:
        cell = _cell_for(candidate["cells"], views)
        if cell is None:
            continue
        encode = cell["p50_ms"] / cell["batch"] * views
        for resample in ("exact", "fast"):
            parts = {
                "decode": around["decode"],
                "crop": around[f"crop {resample}"],
                "encode": encode,
                "classify": around["classify"],
            }
            total = sum(parts.values())
            rows.append(
                {
                    "candidate": candidate["candidate"],
                    "resample": resample,
                    "encode_batch": cell["batch"],
                    "ms": {name: round(value, 3) for name, value in parts.items()},
                    "share": {name: round(value / total, 4) for name, value in parts.items()},
                    "total_ms": round(total, 3),
                    "not_encode_share": round(1 - encode / total, 4),
                }
            )
    return {
        "image": "640 x 480 PNG, rendered",
        "recipe": recipe,
        "support_instances": 25,
        "ms": {name: round(value, 3) for name, value in around.items()},
        "rows": rows,
    }


def _cell_for(cells: Sequence[Mapping[str, Any]], views: int) -> Mapping[str, Any] | None:
    """The cell whose batch is the views of a defect, else the largest below, else the smallest."""
    below = [cell for cell in cells if cell["batch"] <= views]
    if below:
        return max(below, key=lambda cell: int(cell["batch"]))
    return min(cells, key=lambda cell: int(cell["batch"]), default=None)
