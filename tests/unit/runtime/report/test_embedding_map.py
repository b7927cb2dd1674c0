"""The map of embeddings: principal components, the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.report.embedding_map import embedding_map


@pytest.mark.parametrize("queries", [3, 5, 200])
def test_distances_within_a_plane_are_kept(queries: int) -> None:
    """Rows that differ in two directions only lie on the map as they lie in space."""
    rng = np.random.default_rng(queries)
    frame = np.linalg.qr(rng.standard_normal((40, 3)))[0]
    angles = rng.uniform(-0.5, 0.5, (4 + queries, 2))
    rows = frame[:, 0] + angles @ frame[:, 1:].T
    drawn = embedding_map(rows[:4], rows[4:])
    places = np.concatenate([drawn.support, drawn.queries])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    between = np.linalg.norm(unit[:, None] - unit[None], axis=2)
    drawn_between = np.linalg.norm(places[:, None] - places[None], axis=2)
    assert drawn_between.max() <= between.max() + 1e-9
    assert sum(drawn.explained) > 0.95
    np.testing.assert_allclose(drawn_between, between, atol=0.1)


@given(st.integers(1, 8), st.integers(0, 30), st.integers(1, 12), st.integers(0, 1000))
@settings(max_examples=60)
def test_any_number_of_rows_and_channels(support: int, queries: int, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys, rows = rng.standard_normal((support, channels)), rng.standard_normal((queries, channels))
    drawn = embedding_map(keys, rows)
    assert drawn.support.shape == (support, 2)
    assert drawn.queries.shape == (queries, 2)
    assert np.isfinite(drawn.support).all()
    assert 0 <= sum(drawn.explained) <= 1 + 1e-9
    scaled = embedding_map(keys * 7.0, rows * 0.1)
    np.testing.assert_allclose(scaled.support, drawn.support, atol=1e-6)


def test_both_ways_to_compute_agree() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((30, 20)) * np.linspace(3, 0.1, 20)
    padded = np.concatenate([rows, np.zeros((30, 30))], axis=1)  # more channels than rows
    narrow, wide = embedding_map(rows[:5], rows[5:]), embedding_map(padded[:5], padded[5:])
    np.testing.assert_allclose(narrow.queries, wide.queries, atol=1e-9)
    np.testing.assert_allclose(narrow.explained, wide.explained, atol=1e-9)


def test_equal_rows_lie_in_one_place() -> None:
    drawn = embedding_map(np.ones((3, 4)), np.ones((2, 4)))
    assert np.abs(drawn.support).max() < 1e-9
    assert drawn.explained == (0.0, 0.0)
