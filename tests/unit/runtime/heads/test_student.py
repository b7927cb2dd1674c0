"""Student's t against the printed tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.runtime.heads.student import student_cdf, student_quantile


@pytest.mark.parametrize(
    ("probability", "degrees", "value"),
    [
        (0.95, 1, 6.314),
        (0.95, 2, 2.920),
        (0.95, 3, 2.353),
        (0.975, 4, 2.776),
        (0.95, 9, 1.833),
        (0.995, 10, 3.169),
        (0.999, 30, 3.385),
        (0.95, 120, 1.658),
        (0.95, 5000, 1.645),
        (0.5, 7, 0.0),
    ],
)
def test_quantiles_of_the_tables(probability: float, degrees: int, value: float) -> None:
    assert student_quantile(probability, degrees) == pytest.approx(value, abs=6e-4)
    assert student_quantile(1 - probability, degrees) == pytest.approx(-value, abs=6e-4)


@given(st.floats(0.001, 0.999), st.integers(1, 300))
def test_the_quantile_inverts_the_distribution(probability: float, degrees: int) -> None:
    assert student_cdf(student_quantile(probability, degrees), degrees) == pytest.approx(probability, abs=1e-9)
