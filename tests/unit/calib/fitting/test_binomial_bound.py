"""Exact binomial bounds: published values, sums by hand, and what must hold for any numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib.fitting.binomial_bound import binomial_tail, lower_bound, trials_needed


@pytest.mark.parametrize(
    ("right", "trials", "confidence", "bound"),
    [
        # The two-sided 95% interval of 8 of 10 by Clopper and Pearson begins at 0.4439, that of 5 of 10 at 0.1871.
        (8, 10, 0.975, 0.4439),
        (5, 10, 0.975, 0.1871),
        (90, 100, 0.975, 0.8238),
        (10, 10, 0.975, 0.6915),
        # One-sided, all right: (1 - confidence) ** (1 / trials).
        (25, 25, 0.9, 0.9120),
        (59, 59, 0.95, 0.9505),
    ],
)
def test_bounds_of_clopper_and_pearson(right: int, trials: int, confidence: float, bound: float) -> None:
    assert lower_bound(right, trials, confidence) == pytest.approx(bound, abs=5e-5)


@pytest.mark.parametrize(
    ("share", "confidence", "wrong", "needed"),
    [
        # Known from acceptance sampling: 22, 45, 59 and 299 without a fault, 93 with one.
        (0.90, 0.90, 0, 22),
        (0.95, 0.90, 0, 45),
        (0.95, 0.95, 0, 59),
        (0.99, 0.95, 0, 299),
        (0.95, 0.95, 1, 93),
        (0.90, 0.90, 1, 38),
        (0.5, 0.9, 0, 4),
    ],
)
def test_how_many_trials_it_takes(share: float, confidence: float, wrong: int, needed: int) -> None:
    assert trials_needed(share, confidence, wrong) == needed
    assert lower_bound(needed - wrong, needed, confidence) >= share
    assert lower_bound(needed - wrong - 1, needed - 1, confidence) < share


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), st.floats(0.01, 0.99))
def test_the_tail_is_the_sum_of_the_binomial_distribution(counts: tuple[int, int], share: float) -> None:
    trials, right = counts
    terms = (
        math.comb(trials, each) * share**each * (1 - share) ** (trials - each) for each in range(right, trials + 1)
    )
    assert binomial_tail(right, trials, share) == pytest.approx(math.fsum(terms), rel=1e-9, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.floats(1, 500), st.floats(0, 1), st.floats(0.01, 0.99))
def test_numbers_between_whole_ones_lie_between_them(trials: float, part: float, share: float) -> None:
    right = part * trials
    tail = binomial_tail(right, trials, share)
    assert 0 <= tail <= 1
    # More right ones of as many are less probable; the same right ones of more are more probable.
    assert binomial_tail(min(right + 0.5, trials), trials, share) <= tail + 1e-9
    assert binomial_tail(right, trials + 0.5, share) >= tail - 1e-9


def test_large_numbers_and_none() -> None:
    assert lower_bound(0, 0, 0.9) == lower_bound(0, 50, 0.9) == 0
    assert binomial_tail(0, 0, 0.5) == 1
    assert binomial_tail(990_000, 1_000_000, 0.99) == pytest.approx(0.5, abs=0.01)
    assert trials_needed(0.9999, 0.9) == 23025
