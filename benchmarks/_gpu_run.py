"""Measuring candidates on a GPU within a time: in rounds with a reference and with the card's own product rate."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from mvrec_edge.bench.candidates import TORCH, EngineCandidate
from mvrec_edge.bench.process import Worker
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["DEFECT_VIEWS", "Clock", "GpuRun", "aims", "card_slug", "worker_module"]

#: Views of a batch that the aims are about: those of one defect.
DEFECT_VIEWS = 27

_ROUNDS = 5
_MOST_RUNS = 20
_PRODUCTS = 5
_COMPARED_VIEWS = 3
# As much is left for writing the result and ending the workers.
_LAST_S = 5.0


def worker_module(setup: Mapping[str, Any]) -> str:
    """The module whose process opens what a request describes."""
    by_torch = TORCH in (setup.get("engine"), setup["kind"].split()[0])
    return "mvrec_edge.bench.torch_worker" if by_torch else "mvrec_edge.bench.worker"


def card_slug(name: str) -> str:
    """A card's name as a part of a file's: "NVIDIA H100 80GB HBM3" is "h100_80gb_hbm3"."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "_".join(word for word in words if word not in ("nvidia", "geforce")) or "unknown"


class Clock:
    """The time that a run has.

    Args:
        seconds: Its length.
        now: The clock, in seconds.
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._end = now, now() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left for measuring."""
        return max(0.0, self._end - self._now() - _LAST_S)


@dataclass
class GpuRun:
    """A run: its open workers, and what has been measured.

    Attributes:
        bundle: The encoder.
        clock: The time.
        write: Called with the record after each cell.
        side: Rows and columns of the matrices of the card's product rate.
        visit_s: Seconds of a visit to a candidate.
        cells: What was measured, one for each candidate and batch.
        skipped: Why something was not, by name.
        notes: Other figures and answers, by name.
    """

    bundle: Bundle
    clock: Clock
    write: Callable[[dict[str, Any]], None]
    side: int = 8192
    visit_s: float = 0.3
    cells: list[dict[str, Any]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    reference: Worker | None = None
    reference_name: str = ""
    product: Worker | None = None
    _embeddings: np.ndarray[Any, Any] | None = None

    def open(self, setup: Mapping[str, Any], longest_s: float) -> Worker:
        """Starts a worker, whose every answer may take so long at most, and no longer than is left.

        Raises:
            EnvironmentUnfitError: It cannot be opened.
        """
        limit = min(longest_s, self.clock.left)
        if limit <= 0:
            raise EnvironmentUnfitError("no time was left")
        return Worker(worker_module(setup), dict(setup), limit_s=limit)

    def engine_setup(self, candidate: EngineCandidate, batch: int) -> dict[str, Any]:
        """The request that opens an engine, or a PyTorch encoder."""
        return {
            "kind": "engine",
            "bundle": str(self.bundle.path.absolute()),
            "engine": candidate.engine,
            "provider": candidate.provider,
            "precision": candidate.precision,
            "batch": max(batch, _COMPARED_VIEWS),
        }

    def measure(self, candidate: EngineCandidate, worker: Worker, batches: Sequence[int]) -> None:
        """Measures an open candidate at batch sizes, the first of which is the most important."""
        for batch in batches:
            if self.clock.left <= 0:
                self.skipped[f"{candidate.name}, batch {batch}"] = "no time was left"
                return
            cell = {
                "candidate": candidate.name,
                "batch": batch,
                "device": worker.device,
                **self._rounds(worker, "encode", batch, batch * self.bundle.architecture.flops_per_view),
                "cosine_to_reference": self._cosine(worker),
            }
            self.cells.append(cell)
            self.write(self.record())

    def _rounds(self, worker: Worker, part: str, amount: int, work: float) -> dict[str, Any]:
        """Visits the product, the reference and the candidate in turn, the order turned around each time."""
        warm = [worker.run(part, amount)[0] for _ in range(2)]
        visited: dict[str, list[float]] = {"product": [], "reference": [], "candidate": []}
        own = worker is self.reference

        def visit(who: str) -> None:
            if who == "product" and self.product is not None:
                seconds = self.product.run("product", self.side, _PRODUCTS)
                visited[who].append(2.0 * self.side**3 / min(seconds))
            elif who == "reference" and self.reference is not None and not own:
                often = self._runs(min(visited[who], default=warm[-1]))
                visited[who].append(median(self.reference.run(part, amount, often)))
            elif who == "candidate":
                visited[who].append(median(worker.run(part, amount, self._runs(warm[-1]))))

        # So that the first of its runs is not its first of this size.
        if self.reference is not None and not own:
            self.reference.run(part, amount, 2)
        for number in range(_ROUNDS):
            for who in ("product", "reference", "candidate") if number % 2 else ("candidate", "reference", "product"):
                try:
                    visit(who)
                except EnvironmentUnfitError as error:
                    if who == "candidate" or own:
                        raise
                    self._lose(who, str(error))
                    visited[who].clear()
        times, reference, rates = visited["candidate"], visited["reference"], visited["product"]
        return {
            "ms": round(median(times) * 1e3, 4),
            "ms_by_round": [round(value * 1e3, 4) for value in times],
            "ms_for_a_defect": round(median(times) * 1e3 * DEFECT_VIEWS / amount, 3),
            "tflop_per_s": round(work / median(times) / 1e12, 3),
            "reference_ms": round(median(reference) * 1e3, 4) if reference else None,
            "times_faster_than_reference": 1.0 if own else _ratio(reference, times),
            "product_tflop_per_s": round(median(rates) / 1e12, 3) if rates else None,
            "share_of_product_rate": round(
                median(work / seconds / rate for seconds, rate in zip(times, rates, strict=True)), 4
            )
            if rates
            else None,
        }

    def _lose(self, who: str, reason: str) -> None:
        """Goes on without the reference or the product, whose process has ended."""
        self.skipped[f"{who}, from here on"] = reason
        lost = self.reference if who == "reference" else self.product
        if who == "reference":
            self.reference = None
        else:
            self.product = None
        if lost is not None:
            lost.close()

    def _runs(self, seconds: float) -> int:
        """How often something that takes so long is run at a visit."""
        return max(1, min(_MOST_RUNS, int(self.visit_s / max(seconds, 1e-6))))

    def _cosine(self, worker: Worker) -> float | None:
        """The smallest cosine between a candidate's embeddings of the same views and the reference's."""
        found = np.asarray(worker.ask({"do": "embed", "amount": _COMPARED_VIEWS})["embeddings"], np.float64)
        if worker is self.reference:
            self._embeddings = found
        if self._embeddings is None:
            return None
        wanted = self._embeddings
        norms = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
        return round(float(((found * wanted).sum(axis=1) / norms).min()), 7)

    def record(self) -> dict[str, Any]:
        """What has been measured so far, in plain JSON types."""
        return {
            "encoder": self.bundle.architecture.name,
            "random_weights": self.bundle.weights.is_random,
            "gflop_per_view": round(self.bundle.architecture.flops_per_view / 1e9, 3),
            "reference": self.reference_name,
            "aims": aims(self.cells),
            "cells": list(self.cells),
            "notes": dict(self.notes),
            "skipped": dict(self.skipped),
        }

    def close(self) -> None:
        """Ends the workers that stay open."""
        for worker in (self.reference, self.product):
            if worker is not None:
                worker.close()


def aims(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the fastest engine at a defect's 27 views compares with PyTorch compiled and with the product rate.

    Args:
        cells: What was measured.

    Returns:
        `engine`: the fastest engine's name; `times_faster_than_compiled_pytorch` and `share_of_product_rate`, wanted
        are 1 and 0.5 at least; None where something was not measured.
    """
    at = [cell for cell in cells if cell["batch"] == DEFECT_VIEWS and cell["times_faster_than_reference"] is not None]
    engines = [cell for cell in at if not cell["candidate"].startswith(f"{TORCH}:")]
    compiled = [cell for cell in at if cell["candidate"].startswith(f"{TORCH}:") and "compile" in cell["candidate"]]
    best = max(engines, key=lambda cell: cell["times_faster_than_reference"], default=None)
    other = max((cell["times_faster_than_reference"] for cell in compiled), default=None)
    faster = None if best is None or other is None else round(best["times_faster_than_reference"] / other, 3)
    return {
        "engine": None if best is None else best["candidate"],
        "times_faster_than_compiled_pytorch": faster,
        "share_of_product_rate": None if best is None else best["share_of_product_rate"],
    }


def _ratio(reference: Sequence[float], times: Sequence[float]) -> float | None:
    """How many times faster than the reference: the median of the rounds' own ratios."""
    return round(median(a / b for a, b in zip(reference, times, strict=True)), 4) if reference else None
