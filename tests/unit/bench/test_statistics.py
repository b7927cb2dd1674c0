"""Percentiles and ratios on times whose answer is known."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.bench.statistics import latency, median, median_of_ratios

seconds = st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=50)


def test_known_percentiles() -> None:
    figures = latency([value / 1000 for value in range(1, 102)])
    assert figures == pytest.approx({"p50_ms": 51, "p90_ms": 91, "p99_ms": 100, "mean_ms": 51, "min_ms": 1})


@given(seconds)
def test_percentiles_are_in_order(times: list[float]) -> None:
    figures = latency(times)
    ordered = [figures[name] for name in ("min_ms", "p50_ms", "p90_ms", "p99_ms")]
    assert all(low <= high * (1 + 1e-9) for low, high in itertools.pairwise(ordered))
    assert ordered[0] <= figures["mean_ms"] * (1 + 1e-9)


def test_a_slow_phase_of_the_machine_does_not_touch_the_ratio() -> None:
    reference = {0: [2.0], 1: [20.0], 2: [2.0], 3: [9.0]}
    candidate = {0: [1.0], 1: [10.0], 2: [1.0]}
    assert median_of_ratios(reference, candidate) == pytest.approx(2.0)


def test_without_a_shared_round_there_is_no_ratio() -> None:
    assert median_of_ratios({0: [1.0]}, {1: [1.0]}) is None
    assert median_of_ratios({}, {}) is None
    assert median([]) is None
