"""Drift: seen where it is, said once, and not more often than stated where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.novelty import KnownDistances
from mvrec_edge.runtime.novelty.drift import FALSE_ALARMS, DriftMonitor, check_window


def known_distances(generator: np.random.Generator, classes: int = 4, shots: int = 5) -> KnownDistances:
    labels = np.repeat(np.arange(classes), shots)
    return KnownDistances.of(generator.normal(0.5, 0.1, len(labels)), labels, classes)


def test_a_window_that_departs_is_reported_when_it_is_full() -> None:
    monitor = DriftMonitor(20, known_distances(np.random.default_rng(0)))
    reports = [monitor.see(monitor.limit + 1) for _ in range(20)]
    assert reports[:19] == [None] * 19
    drift = reports[19]
    assert drift is not None
    assert (drift.window, drift.seen, drift.limit) == (20, monitor.limit + 1, monitor.limit)
    assert (
        f"the last 20 regions lie further from the support than calibration saw: the median is {drift.seen:.1f} "
        in str(drift)
    )


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-50, 50), max_size=300), st.integers(10, 40))
def test_it_is_said_once_at_the_most(values: list[float], window: int) -> None:
    monitor = DriftMonitor(window, known_distances(np.random.default_rng(1)))
    reports = [report for report in map(monitor.see, values) if report is not None]
    assert len(reports) <= 1
    medians = [np.median(values[place : place + window]) for place in range(0, len(values) - window + 1, window)]
    assert bool(reports) == any(value > monitor.limit for value in medians)


def test_some_unknown_defects_are_no_drift() -> None:
    generator = np.random.default_rng(2)
    monitor = DriftMonitor(50, known_distances(generator))
    values = generator.normal(0, 1, 1000)
    values[::3] = 100
    assert [monitor.see(value) for value in values] == [None] * 1000


@pytest.mark.parametrize(("classes", "shots"), [(2, 2), (3, 3), (4, 5), (3, 40)])
@pytest.mark.parametrize("one_class", [False, True])
def test_no_more_false_alarms_than_stated(classes: int, shots: int, one_class: bool) -> None:
    generator = np.random.default_rng(3)
    window, windows = 50, 5_000
    seen, limits = np.empty((windows, window)), np.empty(windows)
    for number in range(windows):
        known = known_distances(generator, classes, shots)
        monitor = DriftMonitor(window, known)
        labels = np.zeros(window, int) if one_class else generator.integers(0, classes, window)
        seen[number] = (generator.normal(0.5, 0.1, window) - known.distances[labels]) / known.spread
        limits[number] = monitor.limit
    # The monitor's own median without its bookkeeping, so that 5,000 windows take less than a second.
    assert np.mean(np.median(seen, axis=1) > limits) <= FALSE_ALARMS


@pytest.mark.parametrize("window", [0, 9, 100_001, -5])
def test_windows_that_are_none(window: int) -> None:
    with pytest.raises(UsageError, match=r"10 to 100,000 regions"):
        check_window(window)
    with pytest.raises(UsageError, match=r"10 to 100,000 regions"):
        DriftMonitor(window, known_distances(np.random.default_rng(0)))


def test_nothing_to_compare_with() -> None:
    with pytest.raises(UsageError, match="no instance out"):
        DriftMonitor(50, KnownDistances.of(np.full(2, np.nan), np.arange(2), 2))
