"""The speeds in a benchmark's record, in the form in which `--engine auto` keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mvrec_edge.bench.candidates import TORCH
from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.engines.speeds import SpeedKey
from mvrec_edge.runtime.engines.tensorrt.cuda_runtime import GpuModel
from mvrec_edge.runtime.engines.tensorrt.flavour import TENSORRT_RTX
from mvrec_edge.runtime.engines.tensorrt.gpu_probe import first_gpu

__all__ = ["speeds_of"]


def speeds_of(
    record: Mapping[str, Any], bundle: Bundle, threads: int, ask_gpu: Callable[[], GpuModel | None] = first_gpu
) -> dict[SpeedKey, float]:
    """Milliseconds per view at each candidate's best batch size, without PyTorch and what did not come to its end.

    Args:
        record: What `measure_bundle` returned.
        bundle: The bundle it was measured with.
        threads: CPU threads that the engines had.
        ask_gpu: Says which GPU this machine has, if any.
    """
    speeds = {}
    gpu = ask_gpu()
    for row in record["candidates"]:
        if row["engine"] == TORCH or row["error"] is not None or not row["cells"]:
            continue
        device = gpu.name if gpu is not None and row["engine"] == TENSORRT_RTX.engine else ""
        key = SpeedKey(bundle.fingerprint(row["precision"]), row["engine"], row["provider"] or "", threads, device)
        speeds[key] = min(float(cell["ms_per_view"]) for cell in row["cells"])
    return speeds
