"""How long one defect of 27 views takes from the image file to the class, stage by stage, with each engine at hand."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Sequence
from typing import Any

import cv2

from mvrec_edge.bench.candidates import EngineCandidate, default_candidates, open_candidate
from mvrec_edge.calib import CalibrateSettings, LabelledRegion, LabelledSet, calibrate
from mvrec_edge.runtime import Bundle, DefectClassifier, ViewPlan, read_image, read_mask
from mvrec_edge.runtime.classifier import RandomWeightsWarning
from mvrec_edge.runtime.engines import Engine
from mvrec_edge.runtime.errors import MvrecEdgeError
from mvrec_edge.runtime.regions import regions_of_mask
from mvrec_edge.runtime.views.plan import RESAMPLINGS

__all__ = ["STAGES", "measure_speed"]

STAGES = ("decode", "crop", "encode", "classify", "total")


def measure_speed(
    bundle: Bundle,
    shots: LabelledSet,
    parts: Sequence[LabelledRegion],
    *,
    threads: int,
    rounds: int,
    candidates: Sequence[EngineCandidate] | None = None,
) -> dict[str, Any]:
    """Classifies defects one by one, as they come on a line.

    Args:
        bundle: The encoder.
        shots: What each engine is calibrated with.
        parts: What is classified; each image is read from its file every time, and its mask beside it.
        threads: CPU threads of the engine and of OpenCV.
        rounds: Times over all parts; the first round of an engine warms up and is not counted.
        candidates: Which engines in which precisions; by default all that open.

    Returns:
        Medians of milliseconds for each engine and resampling, in plain JSON types, and what could not be opened.
    """
    rows: list[dict[str, Any]] = []
    unavailable: list[dict[str, str]] = []
    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        for candidate in default_candidates(bundle.precisions) if candidates is None else candidates:
            try:
                # One at a time: an engine's threads wait for work, and would take it from the next.
                with open_candidate(candidate, bundle, batch=ViewPlan.mso().count, threads=threads) as engine:
                    for resample in RESAMPLINGS:
                        times = _time(engine, resample, shots, parts, rounds)
                        row = {"candidate": candidate.name, "resample": resample, "defects": len(times["total"])}
                        row["ms"] = {stage: round(statistics.median(times[stage]), 3) for stage in STAGES}
                        row["p95_ms"] = round(sorted(times["total"])[int(0.95 * (len(times["total"]) - 1))], 3)
                        rows.append(row)
            except MvrecEdgeError as error:
                unavailable.append({"candidate": candidate.name, "reason": str(error)})
    finally:
        cv2.setNumThreads(before)
    height, width = read_image(parts[0].image).shape[:2]
    return {
        "image": f"{width} x {height} JPEG with a PNG mask, rendered",
        "views": ViewPlan.mso().count,
        "threads": threads,
        "rows": rows,
        "unavailable": unavailable,
    }


def _time(
    engine: Engine, resample: str, shots: LabelledSet, parts: Sequence[LabelledRegion], rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of each stage for each defect."""
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        classifier = DefectClassifier(engine, calibrate(engine, shots, CalibrateSettings(resample=resample)))
    for number in range(rounds + 1):
        for part in parts:
            start = time.perf_counter()
            image = read_image(part.image)
            regions = regions_of_mask(read_mask(part.image.with_suffix(".png")))
            decoded = time.perf_counter()
            predictions = classifier.classify(image, regions[:1])
            total = (time.perf_counter() - start) * 1e3
            if number:
                stages = predictions[0].milliseconds
                values = ((decoded - start) * 1e3, stages.crop, stages.encode, stages.classify, total)
                for stage, value in zip(STAGES, values, strict=True):
                    times[stage].append(value)
    return times
