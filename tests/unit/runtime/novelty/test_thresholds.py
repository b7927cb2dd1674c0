"""Limits: what they promise on the distribution they were taken from, and how they follow the rate."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads.student import student_quantile
from mvrec_edge.runtime.novelty.thresholds import ENOUGH, KnownDistances, NoveltyLimits
from mvrec_edge.runtime.support.reject_rate import parse_rate

LABELS = np.array([0, 0, 0, 1, 1, 1, 2])
LEFT_OUT = np.array([0.2, 0.3, 0.4, 0.5, 0.5, 0.8, np.nan], np.float32)


def test_usual_distances_are_drawn_towards_that_of_all() -> None:
    known = KnownDistances.of(LEFT_OUT, LABELS, 3)
    mean = 2.7 / 6
    np.testing.assert_allclose(known.distances, [(0.9 + 2 * mean) / 5, (1.8 + 2 * mean) / 5, mean], atol=1e-6)
    assert known.degrees == 4
    assert known.spread == pytest.approx(math.sqrt((known.residuals**2).sum() / 4))
    limit = NoveltyLimits.at(0.05, known).classes[0]
    assert limit.limit == pytest.approx(student_quantile(0.95, 4) * known.spread * math.sqrt(7 / 6))
    assert not limit.own


def test_nothing_is_known_of_single_instances() -> None:
    known = KnownDistances.of(np.full(3, np.nan, np.float32), np.arange(3), 3)
    assert not known.measured
    assert NoveltyLimits.at(0.05, known).classes == ()
    np.testing.assert_array_equal(known.distances, np.zeros(3))


def test_a_class_with_enough_has_a_limit_of_its_own() -> None:
    labels = np.repeat([0, 1], [ENOUGH, 3])
    values = np.r_[np.arange(ENOUGH) / 100, 0.5, 0.6, 0.7].astype(np.float32)
    known = KnownDistances.of(values, labels, 2)
    first, second = NoveltyLimits.at(0.05, known).classes
    assert first.own
    assert not second.own
    # The 20th of 20: ceil(21 * 0.95).
    assert first.limit == pytest.approx(known.residuals[known.labels == 0].max())
    # 21 * 0.9 = 18.9: the 19th.
    assert NoveltyLimits.at(0.1, known).classes[0].limit == pytest.approx(np.sort(known.residuals[:ENOUGH])[18])


@settings(deadline=None)
@given(st.integers(0, 10_000), st.lists(st.floats(1e-5, 0.5), min_size=2, max_size=6))
def test_a_larger_rate_never_has_a_larger_limit(seed: int, rates: list[float]) -> None:
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), generator.integers(2, 40, 3))
    known = KnownDistances.of(generator.gamma(4, 0.1, len(labels)), labels, 3)
    limits = [[one.limit for one in NoveltyLimits.at(rate, known).classes] for rate in sorted(rates)]
    for smaller, larger in itertools.pairwise(limits):
        assert all(after <= before for before, after in zip(smaller, larger, strict=True))


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_order_changes_nothing_and_limits_scale_with_distances(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), generator.integers(2, 30, 3))
    values = generator.gamma(4, 0.1, len(labels))
    order = generator.permutation(len(labels))
    renamed = np.array([1, 2, 0])
    before = NoveltyLimits.at(0.05, KnownDistances.of(values, labels, 3)).classes
    after = NoveltyLimits.at(0.05, KnownDistances.of(values[order] * 2, renamed[labels[order]], 3)).classes
    for place, limit in enumerate(before):
        assert after[renamed[place]].limit == pytest.approx(2 * limit.limit, rel=1e-9)
        assert after[renamed[place]].own == limit.own


@pytest.mark.parametrize("counts", [(3, 3, 3, 3), (5, 5, 5), (40, 40)])
def test_the_rate_is_kept_on_the_distribution_it_came_from(counts: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), counts)
    rejected = []
    for _ in range(400):
        known = KnownDistances.of(generator.normal(0.5, 0.1, len(labels)), labels, len(counts))
        limits = np.array([limit.limit for limit in NoveltyLimits.at(0.05, known).classes])
        rejected.append((generator.normal(0.5, 0.1, (100, len(counts))) - known.distances > limits).mean())
    assert 0.02 < np.mean(rejected) < 0.06


@pytest.mark.parametrize(("text", "rate"), [("5%", 0.05), ("0.05", 0.05), (" 0.5 %", 0.005), ("50%", 0.5)])
def test_rates_as_they_are_typed(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["5", "0", "0%", "-1%", "51%", "nan", "inf%", "five", "", "%"])
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="rate"):
        parse_rate(text)
