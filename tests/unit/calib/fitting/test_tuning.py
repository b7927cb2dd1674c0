"""Tuning: points that are counted rightly, a front that nothing beats, and a choice that is on it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.calib.fitting.leave_one_out import leave_one_out
from mvrec_edge.calib.fitting.tuning import (
    EncodedSupport,
    TuningPoint,
    best_by_precision,
    best_point,
    best_windows,
    check_tunable,
    describe_tuning,
    front,
    plot_tuning,
    tune,
)
from mvrec_edge.runtime import HeadSettings, SupportCache, ViewPlan
from mvrec_edge.runtime.errors import SupportError
from mvrec_edge.runtime.views.schedule import default_schedule

SCHEDULE = default_schedule(ViewPlan.mso())


def cache(shots: int = 4) -> SupportCache:
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(3), shots)
    means = 2 * np.eye(24)[labels] + 0.6 * rng.standard_normal((len(labels), 24))
    embeddings = means[:, None] + 3 * rng.standard_normal((len(labels), 27, 24))
    return SupportCache.from_embeddings(embeddings, labels, ["a", "b", "c"], view_plan=ViewPlan.mso())


def test_every_head_has_a_point_for_each_pause_and_auto() -> None:
    support = cache()
    seen: list[int] = []
    points = tune([EncodedSupport("fp32", support, 2.0)], seen.append)
    assert len(seen) == 3 * 12
    for name in ("average", "zip", "zip-c"):
        own = [point for point in points if point.head.name == name]
        assert {point.use for point in own} == {3, 6, 9, 12, 15, 18, 21, 24, 27, "auto"}
        for point in own:
            assert point.left_out == 12
            assert point.milliseconds == pytest.approx(2.0 * point.views)
            assert point.use == "auto" or point.views == point.use
            assert point.to_dict()["ms"] == pytest.approx(point.milliseconds, abs=1e-3)
        whole = next(point for point in own if point.use == 27)
        left_out = leave_one_out(dataclasses.replace(support, head=whole.head))
        right = left_out.logits.argmax(axis=1) == left_out.labels
        assert whole.accuracy == pytest.approx(right.mean())


def test_accuracies_are_said_to_be_those_of_the_support_itself() -> None:
    supports = [EncodedSupport("fp32", cache(), 2.0)]
    lines = describe_tuning(supports, tune(supports))
    assert "with 12 instances left out in turn" in lines[1]
    assert "the best of 30, so it looks better than it will be on new defects" in lines[1]


def test_the_instances_of_an_image_are_left_out_together() -> None:
    one_image = cache().changed(images=["a"] * 4 + [str(place) for place in range(8)])
    with pytest.raises(SupportError, match="lies on a single image"):
        tune([EncodedSupport("fp32", one_image, 1.0)])


def test_a_class_of_one_leaves_nothing_to_tune_on() -> None:
    with pytest.raises(SupportError, match="--tune leaves each instance out in turn"):
        tune([EncodedSupport("fp32", cache(shots=1), 1.0)])


def test_precisions_share_one_list_each_with_its_own_embeddings_and_cost() -> None:
    exact = cache()
    noise = np.random.default_rng(1).standard_normal(exact.embeddings.shape)
    coarse = dataclasses.replace(exact, embeddings=(exact.embeddings + 12 * noise).astype(np.float16))
    seen: list[int] = []
    points = tune([EncodedSupport("fp32", exact, 4.0), EncodedSupport("int8", coarse, 1.0)], seen.append)
    assert len(seen) == 2 * 3 * 12
    assert [point.milliseconds for point in points] == sorted(point.milliseconds for point in points)
    for encoded in (EncodedSupport("fp32", exact, 4.0), EncodedSupport("int8", coarse, 1.0)):
        own = [point for point in points if point.precision == encoded.precision]
        assert [point.to_dict() for point in own] == [point.to_dict() for point in tune([encoded])]
    # The coarse one is cheaper and does worse, so that the exact one is kept; where it does as well, it is kept itself.
    assert best_point(points).precision == "fp32"
    assert (
        best_point(tune([EncodedSupport("fp32", exact, 4.0), EncodedSupport("int8", exact, 1.0)])).precision == "int8"
    )
    assert {each.precision: each.accuracy for each in best_by_precision(points)} == {
        name: max(point.accuracy for point in points if point.precision == name) for name in ("fp32", "int8")
    }


def point(milliseconds: float, accuracy: float, use: str | int = 3, precision: str = "fp32") -> TuningPoint:
    return TuningPoint(precision, HeadSettings(), use, milliseconds, accuracy, 10, milliseconds, SCHEDULE)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5)), min_size=1, max_size=20))
def test_the_front_is_what_nothing_beats(pairs: list[tuple[int, int]]) -> None:
    points = [point(cost, accuracy / 5) for cost, accuracy in pairs]
    kept = front(points)
    for each in points:
        beaten = any(
            (other.milliseconds <= each.milliseconds and other.accuracy > each.accuracy)
            or (other.milliseconds < each.milliseconds and other.accuracy >= each.accuracy)
            for other in points
        )
        same = any((k.milliseconds, k.accuracy) == (each.milliseconds, each.accuracy) for k in kept)
        assert same != beaten
    best = best_point(points)
    assert (best.milliseconds, best.accuracy) == (kept[-1].milliseconds, kept[-1].accuracy)


def test_of_equals_auto_is_kept() -> None:
    assert best_point([point(3, 1.0), point(3, 1.0, "auto"), point(2, 0.9)]).use == "auto"


def of_windows(rank: int, views: int, accuracy: float, milliseconds: float = 1.0) -> TuningPoint:
    made = point(milliseconds, accuracy, views)
    return dataclasses.replace(made, views=views, windows=("256,384,512", "128,192,256")[rank], windows_rank=rank)


@pytest.mark.parametrize(
    ("points", "rank"),
    [
        ([of_windows(0, 27, 0.9), of_windows(1, 27, 0.95), of_windows(1, 3, 0.2)], 1),
        ([of_windows(0, 27, 0.9), of_windows(0, 3, 0.9), of_windows(1, 9, 0.9)], 0),
        ([of_windows(0, 27, 0.9), of_windows(1, 9, 0.9)], 1),
        # The same in both: the recipe's own, however fast the other was encoded.
        ([of_windows(1, 9, 0.9, 0.1), of_windows(0, 9, 0.9, 5.0)], 0),
    ],
)
def test_the_most_accurate_windows_are_kept_and_of_equals_the_recipes_own(points: list[TuningPoint], rank: int) -> None:
    assert best_windows(points) == rank
    assert best_point(points).windows_rank == rank


def test_windows_are_named_where_there_are_several() -> None:
    smaller = cache().changed(view_plan=ViewPlan.mso().with_window_sizes((128, 192, 256)))
    supports = [EncodedSupport("fp32", cache(), 2.0, "a CPU"), EncodedSupport("fp32", smaller, 2.5, "a CPU", 1)]
    alone = describe_tuning(supports[:1], tune(supports[:1]))
    assert not any("windows" in line for line in alone)
    points = tune(supports)
    lines = describe_tuning(supports, points)
    assert lines[:2] == [
        "fp32, windows 256,384,512: 2 ms a view, a CPU",
        "fp32, windows 128,192,256: 2.5 ms a view, a CPU",
    ]
    assert " ".join(lines[3].split()) == "precision head beta aggregate windows views used accuracy ms a defect"
    assert len({line.index("%") for line in lines[4:-1]}) == 1
    assert [line.split()[4] for line in lines[4:-1]] == [each.windows for each in points]
    # Both have the same embeddings.
    assert "windows 256,384,512, views" in lines[-1]
    assert points[0].to_dict()["windows"] == points[0].windows


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="draws the plot")
    points = [dataclasses.replace(point(cost, cost / 30), use=cost) for cost in (3, 9, 27)] + [
        point(5, 0.9, "auto"),
        point(1, 0.5, precision="int8"),
        of_windows(1, 3, 0.4),
    ]
    plot_tuning(points, tmp_path / "front.png")
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")


def test_a_class_on_one_image_is_named_before_anything_is_encoded() -> None:
    check_tunable({"dent": 2, "scratch": 2})
    with pytest.raises(SupportError, match=r"the class 'scratch' lies on a single image.*--tune"):
        check_tunable({"dent": 2, "scratch": 1})
