"""The result of a run in plain JSON types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mvrec_edge import __version__
from mvrec_edge.bench.budget import BenchCase, Samples
from mvrec_edge.bench.cases import BASELINES, GPU_BASELINES
from mvrec_edge.bench.ceilings import Ceilings
from mvrec_edge.bench.round_robin import RoundRobin
from mvrec_edge.bench.stages import recipe_of
from mvrec_edge.bench.stages_record import stage_rows
from mvrec_edge.bench.statistics import latency, median, median_of_ratios
from mvrec_edge.doctor import describe_machine
from mvrec_edge.runtime.bundle import Bundle

__all__ = ["make_record"]

SCHEMA = "mvrec-edge/bench/1"
_QUESTION = "How long does each engine take for the views of a defect on this machine, at each batch size?"
_SIDE_BY_SIDE = "side by side: every worker lives from its start to the end of the run"
_IN_TURN = (
    "one after another: memory does not hold all workers at once, so each is started and warmed up anew for its turn, "
    "and what is compared lies further apart in time"
)


def make_record(
    schedule: RoundRobin,
    bundle: Bundle,
    unavailable: Mapping[str, str],
    *,
    seconds: float = 0.0,
    load_before: float | None = None,
) -> dict[str, Any]:
    """Makes the record of a finished run.

    Args:
        schedule: A schedule that has run.
        bundle: The bundle that was measured.
        unavailable: Why a candidate took no part, by its name.
        seconds: How long the run took.
        load_before: The machine's load before it; above zero, others were computing.

    Returns:
        Question, machine, settings, ceilings, candidates, stages; `docs/bench.md` lists the fields.
    """
    budget = schedule.budget
    candidates = [case for case in schedule.cases if case.candidate is not None]
    missing = dict(unavailable)
    for case in candidates:
        samples = schedule.samples[case.name]
        if not samples.opened:
            missing[case.name] = samples.error or "it did not open"
    opened = [case for case in candidates if case.name not in missing]
    reference = _reference(opened, schedule.samples)
    ceilings = Ceilings.of(schedule)
    rows = [_row(case, reference, schedule, bundle, ceilings) for case in opened]
    return {
        "schema": SCHEMA,
        "question": _QUESTION,
        "created_by": f"mvrec-edge {__version__}",
        "machine": describe_machine(),
        "bundle": {
            "name": bundle.path.name,
            "architecture": bundle.architecture.name,
            "weights": str(bundle.weights),
            "random_weights": bundle.weights.is_random,
            "gflop_per_view": round(bundle.architecture.flops_per_view / 1e9, 3),
        },
        "settings": {
            "batches": list(budget.batches),
            "rounds": budget.rounds,
            "repeats": budget.repeats,
            "seconds_per_cell": budget.seconds,
            "warm_up": budget.warm_up,
            "starts": budget.starts,
            "threads": budget.threads,
            "views_per_defect": budget.views,
            "order": "round robin, turned around in every second round",
            "workers": _SIDE_BY_SIDE if schedule.side_by_side else _IN_TURN,
        },
        "took_s": round(seconds, 1),
        "load_before": _rounded(load_before),
        "reference": None if reference is None else reference.name,
        "ceilings": ceilings.to_record(),
        "candidates": rows,
        "unavailable": [{"candidate": name, "reason": reason} for name, reason in missing.items()],
        "stages": stage_rows(schedule, rows, recipe_of(budget.views)),
    }


def _reference(opened: Sequence[BenchCase], samples: Mapping[str, Samples]) -> BenchCase | None:
    """What ratios are taken to: eager PyTorch, on a GPU first, else the first float32 candidate, else the first."""
    timed = [case for case in opened if samples[case.name].times]
    float32 = [case for case in timed if case.candidate is not None and case.candidate.precision == "fp32"]
    eager = [case for best in (GPU_BASELINES[0], BASELINES[0]) for case in float32 if case.candidate == best]
    return next(iter([*eager, *float32, *timed]), None)


def _row(
    case: BenchCase, reference: BenchCase | None, schedule: RoundRobin, bundle: Bundle, ceilings: Ceilings
) -> dict[str, Any]:
    samples, candidate = schedule.samples[case.name], case.candidate
    assert candidate is not None  # noqa: S101 (filtered by the caller)
    cells = []
    for batch in schedule.budget.batches:
        rounds = samples.times.get(("encode", batch))
        if rounds:
            cells.append(_cell(case, batch, rounds, reference, schedule, bundle, ceilings))
    return {
        "candidate": case.name,
        "engine": candidate.engine,
        "provider": candidate.provider,
        "precision": candidate.precision,
        "device": samples.device,
        "graph_mb": _megabytes(case.size),
        "error": samples.error,
        "worst_cosine": _worst_cosine(samples, None if reference is None else schedule.samples[reference.name]),
        "start_up": _start_up(samples),
        "memory": {"after_opening_mb": _megabytes(samples.opened_peak), "peak_mb": _megabytes(samples.peak)},
        "cells": cells,
    }


def _cell(
    case: BenchCase,
    batch: int,
    rounds: Mapping[int, Sequence[float]],
    reference: BenchCase | None,
    schedule: RoundRobin,
    bundle: Bundle,
    ceilings: Ceilings,
) -> dict[str, Any]:
    every = [seconds for times in rounds.values() for seconds in times]
    figures = latency(every)
    views_per_s = batch / (figures["p50_ms"] / 1e3)
    work = batch * bundle.architecture.flops_per_view
    precision = "" if case.candidate is None else case.candidate.precision
    against = {} if reference is None else schedule.samples[reference.name].times.get(("encode", batch), {})
    return {
        "batch": batch,
        "runs": len(every),
        "rounds": len(rounds),
        **{name: round(value, 4) for name, value in figures.items()},
        "ms_per_view": round(figures["p50_ms"] / batch, 4),
        "views_per_s": round(views_per_s, 3),
        "defects_per_s": round(views_per_s / schedule.budget.views, 4),
        "gflop_per_s": round(work / (figures["p50_ms"] / 1e3) / 1e9, 2),
        "share_of_ceiling": _rounded(ceilings.share(precision, case.on_gpu, work, rounds)),
        "times_faster_than_reference": _rounded(median_of_ratios(against, rounds)),
    }


def _worst_cosine(samples: Samples, reference: Samples | None) -> float | None:
    if reference is None or reference.embeddings is None or samples.embeddings is None:
        return None
    a, b = np.asarray(samples.embeddings), np.asarray(reference.embeddings)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return round(float(((a * b).sum(axis=1) / np.maximum(lengths, 1e-30)).min()), 7)


def _start_up(samples: Samples) -> dict[str, Any]:
    """Medians over the starts; the parts do not quite add up, since each has its own median."""
    parts = {
        "process": "process_s",
        "verify": "verify_s",
        "open": "open_s",
        "first": "first_batch_s",
        "total": "total_s",
    }
    figures: dict[str, Any] = {"starts": len(samples.starts)}
    for part, name in parts.items():
        figures[name] = _rounded(median([start[part] for start in samples.starts]))
    if samples.starts:
        figures["total_s_worst"] = round(max(start["total"] for start in samples.starts), 4)
    return figures


def _megabytes(size: int | None) -> float | None:
    return None if size is None else round(size / 1e6, 1)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
