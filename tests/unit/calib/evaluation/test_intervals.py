"""Wilson's interval against figures that others have published."""

from __future__ import annotations

import pytest

from mvrec_edge.calib.evaluation.intervals import wilson_interval


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        # Newcombe 1998, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_intervals(right: int, count: int, low: float, high: float) -> None:
    found = wilson_interval(right, count)
    assert found == pytest.approx((low, high), abs=5e-5)
    # What is wrong is as far from none as what is right from all.
    assert wilson_interval(count - right, count) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_nothing_known_is_anything() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    low, high = wilson_interval(1, 1)
    assert low == pytest.approx(0.2065, abs=1e-4)
    assert high == 1.0
