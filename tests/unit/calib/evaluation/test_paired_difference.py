"""Differences between heads on the same draws and queries, and the sentences about them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.calib import HeadResult
from mvrec_edge.calib.evaluation.answers import Answers
from mvrec_edge.calib.evaluation.paired_difference import (
    PairedDifference,
    differences_from_first,
    mean_difference,
    paired_difference,
)
from mvrec_edge.calib.evaluation.shot_counts import ShotRange, Shots


def result(head: str, right: np.ndarray, shots: Shots = 3, images: np.ndarray | None = None) -> HeadResult:
    """A head that is right where it says so; bool `[D, Q]`, of two classes."""
    labels = np.zeros(right.shape[1], np.int64)
    answers = Answers.empty(labels, images, len(right))
    for draw, row in enumerate(right):
        of_first = np.where(row, 0.8, 0.2).astype(np.float32)
        answers.put(draw, np.arange(len(row)), np.stack([of_first, 1 - of_first], axis=1))
    return HeadResult(head, shots, answers, np.array([9, 9]), ("",) * len(right))


def some(seed: int, share: float, draws: int = 6, queries: int = 40) -> np.ndarray:
    drawn: np.ndarray = np.random.default_rng(seed).random((draws, queries)) < share
    return drawn


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 40))
def test_it_is_the_difference_of_the_means(seed: int, draws: int, queries: int) -> None:
    one, other = some(seed, 0.8, draws, queries), some(seed + 1, 0.6, draws, queries)
    found = paired_difference(result("zip-c", one), result("zip", other))
    assert found.difference == pytest.approx(one.mean() - other.mean())
    low, high = found.interval
    assert -1 <= low <= found.difference + 1e-12
    assert found.difference - 1e-12 <= high <= 1
    assert 1 <= found.degrees <= draws + queries
    back = paired_difference(result("zip", other), result("zip-c", one))
    assert back.interval == pytest.approx((-high, -low))
    assert back.told_apart == found.told_apart
    if found.told_apart:
        assert back.sentence == found.sentence


def test_against_the_paired_t_test() -> None:
    """With one draw it is the textbook's paired t interval over the queries."""
    one, other = some(1, 0.9, draws=1), some(2, 0.5, draws=1)
    differences = one[0].astype(float) - other[0]
    found = paired_difference(result("a", one), result("b", other))
    assert found.degrees == 39
    # The 97.5% quantile of Student's t with 39 degrees of freedom.
    half = 2.022691 * differences.std(ddof=1) / np.sqrt(40)
    assert found.interval == pytest.approx((differences.mean() - half, differences.mean() + half), abs=1e-6)
    assert math.isnan(found.over_draws)
    assert found.to_dict()["standard_error_draws"] is None


def test_draws_that_disagree_widen_it() -> None:
    """Better on every query in four draws and worse on every query in two: the queries alone would not tell."""
    one = np.ones((6, 30), np.bool_)
    one[4:] = False
    found = paired_difference(result("a", one), result("b", ~one))
    assert found.over_queries == 0
    assert found.over_draws > 0
    assert not found.told_apart
    assert found.sentence == "3 shots: a and b cannot be told apart (+33.3 points, -75.1 to 100.0)"


def test_the_interval_holds_the_true_difference_nineteen_times_of_twenty() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        hard, draws = generator.random(25), 0.3 * generator.standard_normal((8, 1))
        one, other = (generator.random((8, 25)) < np.clip(hard + shift + draws, 0, 1) for shift in (0.0, 0.0))
        low, high = paired_difference(result("a", one), result("b", other)).interval
        held += low <= 0 <= high
    # Slightly on the safe side: what varies with draw and query at once is counted twice.
    assert 0.93 <= held / 300 <= 1


def test_rounding_is_no_difference() -> None:
    """Each head is right where the other is not, as often for each query and in each draw."""
    one = np.array([[(draw + query) % 2 == 0 for query in range(22)] for draw in range(6)])
    found = paired_difference(result("a", one), result("b", ~one))
    assert found.interval == (0, 0)
    assert not found.told_apart
    assert found.sentence.endswith("both are right as often on every query")


def test_sentences() -> None:
    better = PairedDifference(1, "zip-c", "auto", 20, 0.021, 0.004, 0.007, 30)
    low, high = better.interval
    assert better.sentence == f"1 shot: zip-c is better than auto by 2.1 points ({100 * low:.1f} to {100 * high:.1f})"
    assert 0 < low < 0.021 < high
    worse = dataclasses.replace(better, difference=-0.021, shots=ShotRange(2, 5))
    assert worse.sentence == (
        f"2-5 shots: auto is better than zip-c by 2.1 points ({100 * low:.1f} to {100 * high:.1f})"
    )
    assert worse.to_dict()["shots"] == "2-5"
    same = some(3, 0.7)
    equal = paired_difference(result("zip-c", same), result("auto", same))
    assert equal.sentence == "3 shots: zip-c and auto cannot be told apart: both are right as often on every query"
    image = np.zeros(40, np.int64)
    alone = paired_difference(result("a", some(4, 0.9), images=image), result("b", some(5, 0.5), images=image))
    assert alone.sentence == "3 shots: a and b cannot be told apart, since all queries are on one image"
    assert alone.to_dict()["interval_95"] is None
    assert not alone.told_apart


def test_every_head_is_compared_with_the_first_at_each_number_of_shots() -> None:
    results = [result(head, some(place, 0.7), shots) for shots in (1, 3) for place, head in enumerate("abc")]
    found = differences_from_first(results)
    assert [(each.shots, each.head, each.other) for each in found] == [
        (1, "b", "a"), (1, "c", "a"), (3, "b", "a"), (3, "c", "a"),
    ]  # fmt: skip


def test_the_mean_of_two_directions() -> None:
    one = PairedDifference(3, "a", "b", 20, 0.04, 0.01, 0.03, 20)
    other = PairedDifference(3, "a", "b", 20, 0.02, 0.02, 0.04, 30)
    mean = mean_difference(one, other)
    assert mean.difference == pytest.approx(0.03)
    assert mean.over_draws == pytest.approx(math.hypot(0.01, 0.02) / 2)
    assert mean.over_queries == pytest.approx(0.025)
    assert 20 <= mean.degrees <= 50
    # Two measurements of the same are worth twice as many queries.
    twice = mean_difference(one, one)
    assert twice.degrees == 40
    assert twice.over_queries == pytest.approx(one.over_queries / math.sqrt(2))
