"""The speeds in a benchmark's record, in the form in which `--engine auto` keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mvrec_edge.bench.candidates import TORCH
from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.engines.speeds import SpeedKey

__all__ = ["speeds_of"]


def speeds_of(record: Mapping[str, Any], bundle: Bundle, threads: int) -> dict[SpeedKey, float]:
    """Milliseconds per view at each candidate's best batch size, without PyTorch and what did not come to its end.

    Args:
        record: What `measure_bundle` returned.
        bundle: The bundle it was measured with.
        threads: CPU threads that the engines had.
    """
    speeds = {}
    for row in record["candidates"]:
        if row["engine"] == TORCH or row["error"] is not None or not row["cells"]:
            continue
        key = SpeedKey(bundle.fingerprint(row["precision"]), row["engine"], row["provider"] or "", threads)
        speeds[key] = min(float(cell["ms_per_view"]) for cell in row["cells"])
    return speeds
