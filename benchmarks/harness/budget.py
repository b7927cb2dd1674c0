"""What is to be measured, and how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mvrec_edge.bench.candidates import EngineCandidate
from mvrec_edge.runtime.errors import UsageError

__all__ = ["BATCHES", "BenchCase", "Budget", "fits_in_memory"]

#: Views of a batch that are measured by default: one, three sizes, nine shifts, a defect, two defects.
BATCHES = (1, 3, 9, 27, 54)

# A worker holds its graph, a copy in the form its library computes with, and half as much for activations.
_MEMORY_FACTOR = 2.5


@dataclass(frozen=True)
class Budget:
    """How often a cell (a candidate at one batch size) is run.

    Attributes:
        batches: Views in a batch.
        repeats: Runs of a cell in all.
        seconds: Time for a cell; one that uses it up ends earlier, but not before its third round.
        rounds: Visits to a cell, between which all others have their turn.
        warm_up: Runs of a cell before the first that counts.
        starts: Processes that are started to measure start-up; the last one stays.
        threads: CPU threads; None for each library's own choice.
        views: Views for each defect.
        sides: Sides of the matrices of which the fastest gives the ceiling, the smallest first; a side whose product
            would take too long is left out.
        settle_s: Seconds of rest before each visit, in which the threads of the one before stop waiting for work.

    Raises:
        UsageError: A number is out of range.
    """

    batches: tuple[int, ...] = BATCHES
    repeats: int = 20
    seconds: float = 20.0
    rounds: int = 5
    warm_up: int = 2
    starts: int = 3
    threads: int | None = None
    views: int = 27
    sides: tuple[int, ...] = (1024, 2048, 4096, 8192)
    settle_s: float = 0.25

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "repeats": (1, 100_000),
            "seconds": (0.01, 1e6),
            "rounds": (1, 1000),
            "warm_up": (1, 1000),
            "starts": (1, 100),
            "views": (1, 1024),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"'{name}' must lie between {low:g} and {high:g}, not {getattr(self, name):g}")
        if not self.batches or not all(1 <= batch <= 4096 for batch in self.batches):
            raise UsageError("a batch has 1 to 4096 views", fix="example: --batch 1,9,27")
        if len(set(self.batches)) != len(self.batches):
            raise UsageError("a batch size is given twice")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"at least 1 thread is needed, not {self.threads}")

    def runs_per_visit(self, seconds: float) -> int:
        """How often a cell that takes `seconds` is run in one visit."""
        affordable = int(self.seconds / self.rounds / max(seconds, 1e-9))
        return max(1, min(affordable, -(-self.repeats // self.rounds)))


@dataclass(frozen=True)
class BenchCase:
    """A worker in the run.

    Attributes:
        name: Unique among the cases.
        module: What `python -m` runs.
        setup: The request that opens its workload.
        candidate: The candidate; None for a matrix product or the stages.
        parts: What is run, beside a candidate's `encode`.
        dtype: The type of a matrix product's factors, such as `"bf16"`.
        on_gpu: Whether it computes on a GPU.
        size: Bytes of the graph or the weights.
    """

    name: str
    module: str
    setup: Mapping[str, Any]
    candidate: EngineCandidate | None = None
    parts: tuple[str, ...] = ()
    dtype: str = ""
    on_gpu: bool = False
    size: int = 0


def fits_in_memory(cases: tuple[BenchCase, ...], available: int | None) -> bool:
    """Whether the workers of all cases can be held at once; where that is not known, yes."""
    return available is None or _MEMORY_FACTOR * sum(case.size for case in cases) <= available


@dataclass
class Samples:
    """What one case's worker answered.

    Attributes:
        device: What it runs on.
        starts: Seconds of each start by part: `process`, `verify`, `open`, `first`, `total`.
        opened_peak: Bytes held at most right after opening, the largest of all starts.
        peak: Bytes held at most in all.
        times: Seconds by (part, amount), then by round.
        embeddings: Of the first few noise views, `[n][C]`.
        error: Why it has no more.
        opened: Whether it could be opened at all.
    """

    device: str = ""
    starts: list[dict[str, float]] = field(default_factory=list)
    opened_peak: int | None = None
    peak: int | None = None
    times: dict[tuple[str, int], dict[int, list[float]]] = field(default_factory=dict)
    embeddings: list[list[float]] | None = None
    error: str | None = None
    opened: bool = False
