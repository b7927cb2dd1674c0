"""What the pocket encoder is tried on, and how: labelled sets, draws, heads, and one table row for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib import (
    HEAD_CHOICES,
    EvaluationSet,
    FineTuning,
    HeadResult,
    LabelledSet,
    Protocol,
    evaluate_heads,
    read_labelled,
)
from mvrec_edge.runtime import open_source
from mvrec_edge.runtime.heads import AveragedHeads, head_class, head_names
from mvrec_edge.runtime.heads.aggregation import AGGREGATIONS
from mvrec_edge.testing import HELD_OUT_FAMILIES
from mvrec_edge.testing.dataset import write_dataset, write_demo_line

__all__ = [
    "HELD_OUT",
    "HELD_OUT_MIXED",
    "TILES",
    "TILES_LARGEST",
    "TRANSISTOR",
    "Job",
    "Trial",
    "evaluation_sets",
    "largest_of_each_image",
    "load_trials",
    "protocols",
    "run_jobs",
]

TILES = "magnetic tile, all regions"
TILES_LARGEST = "magnetic tile, the largest region of each image"
TRANSISTOR = "MVTec-FS transistor, training split"
HELD_OUT = "held-out families on one line, as in the demo"
HELD_OUT_MIXED = "held-out families, surfaces and tones mixed"

_TRANSISTOR_TABLE = Path("mvtec_fs_transistor") / "CONFIG" / "transistor_config1" / "train.csv"


@dataclass(frozen=True)
class Trial:
    """A labelled set, encoded once, and what is evaluated of it.

    Attributes:
        path: Where it is.
        labelled: Its instances.
        shots: Instances drawn for each class.
        parts: Indices of instances by the name of the table; the rest of what was drawn is classified.
    """

    path: Path
    labelled: LabelledSet
    shots: int
    parts: Mapping[str, npt.NDArray[np.intp]]


@dataclass(frozen=True)
class Job:
    """One evaluation.

    Attributes:
        table: The trial's part.
        encoder: What made the embeddings.
        seed: The seed of random weights; None for what has none.
        data: The embeddings.
        protocol: Draws and heads.
    """

    table: str
    encoder: str
    seed: int | None
    data: EvaluationSet
    protocol: Protocol


def load_trials(shared: Path, folder: Path, *, per_class: int) -> list[Trial]:
    """Reads the labelled sets that are at hand, and renders the held-out families.

    Args:
        shared: Where the magnetic tile data and MVTec-FS transistor are; what is absent is left out.
        folder: Where to render.
        per_class: Images of each held-out family. The first 15 are those of `mvrec-edge demo --seed 0`.
    """
    trials = []
    if (shared / "magnetic_tile").is_dir():
        trials.append(_load(shared / "magnetic_tile", TILES, shots=5, largest=TILES_LARGEST))
    if (shared / _TRANSISTOR_TABLE).is_file():
        trials.append(_load(shared / _TRANSISTOR_TABLE, TRANSISTOR, shots=3))
    write_demo_line(folder / "line", per_class=per_class, seed=0)
    trials.append(_load(folder / "line", HELD_OUT, shots=5))
    write_dataset(folder / "mixed", families=HELD_OUT_FAMILIES, per_class=per_class, seed=0)
    trials.append(_load(folder / "mixed", HELD_OUT_MIXED, shots=5))
    return trials


def _load(path: Path, name: str, *, shots: int, largest: str | None = None) -> Trial:
    labelled = read_labelled(open_source(path))
    parts = {name: np.arange(len(labelled.instances))}
    if largest is not None:
        parts[largest] = largest_of_each_image(labelled)
    return Trial(path, labelled, shots, parts)


def largest_of_each_image(labelled: LabelledSet) -> npt.NDArray[np.intp]:
    """Indices of one instance for each image, in order: the largest, of equals the first.

    With one region an image, no query lies on an image that a shot was drawn from.
    """
    areas = [instance.region.area for instance in labelled.instances]
    places = labelled.places_by_image.values()
    return np.array(sorted(max(group, key=areas.__getitem__) for group in places), np.intp)


def evaluation_sets(trial: Trial, embeddings: npt.NDArray[np.floating]) -> dict[str, EvaluationSet]:
    """The embeddings of a trial's instances, `[S, V, C]`, as one evaluation set for each of its parts."""
    names = trial.labelled.class_names
    labels = np.array([names.index(instance.label) for instance in trial.labelled.instances], np.int64)
    images = np.empty_like(labels)
    for number, places in enumerate(trial.labelled.places_by_image.values()):
        images[places] = number
    return {
        name: EvaluationSet(names, embeddings[part], labels[part], support_images=images[part])
        for name, part in trial.parts.items()
    }


def protocols(
    shots: int, draws: int, steps: int, *, views: int, thorough: bool, triplet: float = 0.0
) -> list[tuple[str, Protocol]]:
    """What is evaluated of one encoder: names for heads, and the protocols that give them.

    Args:
        shots: Instances for each class.
        draws: Draws.
        steps: Training steps of a head that trains.
        views: Views of an instance; with one, there is nothing to aggregate.
        thorough: Whether heads that train are trained.
        triplet: Weight of the triplet loss of one more training; 0 leaves that out.

    Returns:
        Pairs: what is added to the head's name, and a protocol.
    """
    tuning = FineTuning(steps=steps)
    # `auto` is `average`, which is not measured twice.
    choices = (name for name in HEAD_CHOICES if name != AveragedHeads.name)
    heads = tuple(name for name in choices if thorough or not _trains(name))
    found = [("", Protocol((shots,), draws, heads, tuning, trained_draws=draws))]
    if views > 1:
        for aggregate in AGGREGATIONS:
            named = tuple(name for name in heads if _has_other(name, aggregate))
            if named:
                found.append(
                    (f", {aggregate}", Protocol((shots,), draws, named, tuning, aggregate, trained_draws=draws))
                )
    if thorough and triplet > 0:
        trained = tuple(name for name in heads if _trains(name))
        more = FineTuning(steps=steps, triplet=triplet)
        found.append((f", triplet {triplet:g}", Protocol((shots,), draws, trained, more, trained_draws=draws)))
    return found


def _has_other(head: str, aggregate: str) -> bool:
    """Whether a head knows an aggregation that is not its default."""
    if head not in head_names():
        return False
    return aggregate in head_class(head).aggregations and head_class(head).defaults.aggregate != aggregate


def _trains(head: str) -> bool:
    return head in head_names() and head_class(head).trains


def run_jobs(jobs: Sequence[tuple[Job, str]], workers: int, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """Evaluates, several jobs at a time, each on one thread.

    Args:
        jobs: Jobs, and what each adds to the name of its heads.
        workers: Processes.
        progress: Takes a line after each job.

    Returns:
        Table rows in the order of the jobs, in plain JSON types; accuracies in %.
    """
    if workers < 2:
        results = []
        for job, _ in jobs:
            results.append(evaluate_heads(job.data, job.protocol))
            progress(_words(job))
    else:
        # Read by the workers' numpy when it is loaded; more threads than cores make training many times slower.
        before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        os.environ.update(dict.fromkeys(before, "1"))
        try:
            with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
                futures = {pool.submit(evaluate_heads, job.data, job.protocol): job for job, _ in jobs}
                for future in as_completed(futures):
                    future.result()
                    progress(_words(futures[future]))
                results = [future.result() for future in futures]
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name)
                else:
                    os.environ[name] = value
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for (job, suffix), found in zip(jobs, results, strict=True):
        for result in found:
            _add(rows, job, result, suffix)
    for row in rows.values():
        row["mean"] = round(float(np.mean(row["draws"])), 2)
        row["spread"] = round(float(np.std(row["draws"])), 2)
    return list(rows.values())


def _words(job: Job) -> str:
    return f"{job.table}: {job.encoder}, {', '.join(job.protocol.heads)}"


def _add(rows: dict[tuple[str, str, str], dict[str, Any]], job: Job, result: HeadResult, suffix: str) -> None:
    """Adds a result to its row; what differs in the seed of random weights alone shares one."""
    row = rows.setdefault(
        (job.table, job.encoder, result.head + suffix),
        {
            "set": job.table,
            "encoder": job.encoder,
            "head": result.head + suffix,
            "trained": _trains(result.head),
            "shots": result.shots,
            "classes": len(job.data.class_names),
            "instances": len(job.data.support_labels),
            "seeds": [],
            "draws": [],
            "per_class": [],
        },
    )
    row["draws"] += [round(100 * value, 3) for value in result.accuracies]
    if job.seed is not None:
        row["seeds"].append(job.seed)
    row["per_class"].append(dict(zip(job.data.class_names, np.round(100 * result.per_class, 1).tolist(), strict=True)))
