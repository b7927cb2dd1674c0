"""What the pocket encoder is tried on, how its rows are made, and how bounds are judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mvrec_edge.calib import EvaluationSet, LabelledRegion, LabelledSet, Protocol, evaluate_heads
from mvrec_edge.runtime import Region
from mvrec_edge.testing import HELD_OUT_FAMILIES


@pytest.fixture(scope="module")
def trials(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("pocket_trials")


@pytest.fixture(scope="module")
def report(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("pocket_report")


def instance(image: str, side: int) -> LabelledRegion:
    return LabelledRegion(Path(image), Region.from_box((5, 5, 4 + side, 4 + side), (50, 50)), "pit")


def clusters(seed: int, views: int = 2) -> EvaluationSet:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(2), 6)
    embeddings = random.standard_normal((2, 1, 8))[labels] + random.standard_normal((12, views, 8))
    return EvaluationSet(("a", "b"), embeddings.astype(np.float32), labels)


def test_one_region_an_image(trials: ModuleType) -> None:
    labelled = LabelledSet((instance("a.png", 5), instance("b.png", 3), instance("a.png", 9), instance("a.png", 9)))
    assert trials.largest_of_each_image(labelled).tolist() == [1, 2]


def test_without_the_real_sets_the_held_out_families_are_left(trials: ModuleType, tmp_path: Path) -> None:
    trial, mixed = trials.load_trials(tmp_path / "absent", tmp_path, per_class=2)
    assert sorted(trial.labelled.class_names) == sorted(mixed.labelled.class_names) == sorted(HELD_OUT_FAMILIES)
    (data,) = trials.evaluation_sets(trial, np.zeros((10, 1, 3), np.float32)).values()
    assert data.support.shape == (10, 1, 3)
    assert np.bincount(data.support_labels).tolist() == [2] * 5
    assert data.support_images is not None
    assert len(set(data.support_images.tolist())) == 10


def test_the_real_sets(trials: ModuleType, shared_data: Path, tmp_path: Path) -> None:
    tiles, transistor, *_ = trials.load_trials(shared_data, tmp_path, per_class=1)
    assert [len(part) for part in tiles.parts.values()] == [len(tiles.labelled.instances), 100]
    assert (len(transistor.labelled.instances), tiles.shots, transistor.shots) == (22, 5, 3)


def test_every_head_and_the_other_aggregation_of_each(trials: ModuleType) -> None:
    found = {}
    for suffix, protocol in trials.protocols(5, 4, 7, views=27, thorough=True, triplet=4.0):
        assert (protocol.shots, protocol.draws, protocol.tuning.steps) == ((5,), 4, 7)
        found[suffix] = (set(protocol.heads), protocol.aggregate, protocol.tuning.triplet)
    assert found == {
        "": ({"auto", "zip", "zip-c", "zip-f", "zip-w", "zip-vw"}, None, 0),
        ", mean": ({"zip", "zip-f"}, "mean", 0),
        ", uncertainty": ({"zip-c"}, "uncertainty", 0),
        ", triplet 4": ({"zip-f"}, None, 4),
    }
    free = trials.protocols(5, 4, 7, views=1, thorough=False, triplet=4.0)
    assert [(suffix, set(protocol.heads)) for suffix, protocol in free] == [
        ("", {"auto", "zip", "zip-c", "zip-w", "zip-vw"})
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_are_what_the_evaluation_says(trials: ModuleType, workers: int) -> None:
    protocol = Protocol((2,), 3, ("zip", "zip-c"))
    jobs = [(trials.Job("set", "random", seed, clusters(seed), protocol), "") for seed in (0, 1)]
    seen: list[str] = []
    rows = trials.run_jobs(jobs, workers, seen.append)
    assert len(seen) == 2
    wanted = [evaluate_heads(clusters(seed), protocol) for seed in (0, 1)]
    assert [row["head"] for row in rows] == ["zip", "zip-c"]
    for row, results in zip(rows, zip(*wanted, strict=True), strict=True):
        draws = [100 * value for result in results for value in result.accuracies]
        assert row["draws"] == pytest.approx(draws, abs=1e-3)
        assert row["mean"] == pytest.approx(np.mean(draws), abs=0.01)
        assert row["spread"] == pytest.approx(np.std(draws), abs=0.01)
        assert (row["seeds"], row["classes"], row["instances"], row["trained"]) == ([0, 1], 2, 12, False)


def row(place: str, head: str, mean: float, *, encoder: str = "pocket", trained: bool = False) -> dict[str, Any]:
    return {
        "set": place, "encoder": encoder, "head": head, "mean": mean, "spread": 1.0, "trained": trained, "shots": 5,
        "classes": 5, "instances": 100,
    }  # fmt: skip


def speed(threads: int, **totals: float) -> dict[str, Any]:
    rows = [
        {"candidate": "onnxruntime/fp32", "resample": name, "ms": {"decode": 1.0, "total": total}, "p95_ms": total}
        for name, total in totals.items()
    ]
    return {"threads": threads, "rows": rows, "unavailable": [], "image": "an image", "views": 27}


def test_bounds_reached_and_not(trials: ModuleType, report: ModuleType) -> None:
    rows = [
        row(trials.TILES, "auto", 54.9),
        row(trials.TILES, "zip-c, mean", 55.0),
        row(trials.TILES, "zip-f", 64.9, trained=True),
        row(trials.TILES, "zip", 99.0, encoder="mask shape alone"),
        row(trials.HELD_OUT, "auto", 89.9),
        row(trials.HELD_OUT, "zip", 95.0),
    ]
    found = report.judge({"rows": rows, "speed": speed(2, exact=150.0, fast=60.0)})
    assert [each.reached for each in found] == [True, False, False, True]
    assert found[0].figure == "55.0 ± 1.0 with zip-c, mean (54.9 ± 1.0 with auto, which chooses on the support alone)"
    assert str(found[1]).startswith("NOT REACHED: magnetic tile, the best head, at least 65%: 64.9")
    assert "0.150 s with onnxruntime/fp32 and exact views" in found[3].figure
    assert report.judge({"rows": rows, "speed": speed(2, exact=150.1, fast=60.0)})[3].reached is False


def test_what_was_not_measured_is_not_judged(report: ModuleType) -> None:
    for times in (None, speed(1, exact=10.0), speed(2, fast=10.0)):
        assert [each.reached for each in report.judge({"rows": [], "speed": times})] == [None] * 4


def test_tables(trials: ModuleType, report: ModuleType) -> None:
    rows = [row(trials.TILES, "zip", 61.26), row(trials.TILES, "zip", 30.0, encoder="random weights")]
    rows.append(row(trials.TILES, "zip, mean", 62.0))
    figures = {"rows": rows, "weights": "checkpoint", "draws": 20, "speed": speed(2, exact=100.0)}
    text = report.markdown(figures, {"cpu": "a processor"})
    assert "| head | pocket | random weights |" in text
    assert "| magnetic tile, all regions | 62.0 ± 1.0 (zip, mean) | 30.0 ± 1.0 (zip) |" in text
    assert "| zip | 61.3 ± 1.0 | 30.0 ± 1.0 |" in text
    assert "| zip, mean | 62.0 ± 1.0 |  |" in text
    assert "| onnxruntime/fp32 | exact | 1.0 | 100.0 | 100.0 |" in text
    assert "- reached: magnetic tile, training-free" in text
