"""Times that were measured on this machine, kept for the next run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mvrec_edge.runtime.engines.speeds import SpeedKey, read_speeds, record_speeds


def test_times_that_are_kept_at_once_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVREC_EDGE_CACHE", str(tmp_path / "cache"))
    speeds = {SpeedKey(f"{number:064x}", "onnxruntime", "", 1): 1.0 + number for number in range(40)}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: record_speeds(dict([item])), speeds.items()))
    assert read_speeds(list(speeds)) == speeds
