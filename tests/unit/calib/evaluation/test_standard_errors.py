"""Standard errors over draws and over queries, against formulae and against simulated sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.calib.evaluation.standard_errors import error_over_draws, error_over_queries


def even(draws: int, queries: int) -> np.ndarray:
    return np.full((draws, queries), 1 / queries)


def test_over_draws() -> None:
    assert error_over_draws([0.5, 0.7, 0.9]) == pytest.approx(0.2 / np.sqrt(3))
    assert np.isnan(error_over_draws([0.5]))
    assert error_over_draws([1.0, 1.0]) == 0


@given(st.integers(1, 6), st.integers(2, 30), st.integers(0, 1000))
def test_of_queries_on_images_of_their_own(draws: int, queries: int, seed: int) -> None:
    """The textbook's standard error of the mean over the queries' means."""
    values = np.random.default_rng(seed).random((draws, queries)) < 0.7
    found = error_over_queries(values, even(draws, queries), np.arange(queries))
    assert found == pytest.approx(values.mean(axis=0).std(ddof=1) / np.sqrt(queries))


@given(st.integers(2, 10), st.integers(2, 5), st.integers(0, 1000))
def test_copies_of_a_query_on_its_image_tell_nothing_new(images: int, copies: int, seed: int) -> None:
    values = np.random.default_rng(seed).random((3, images))
    once = error_over_queries(values, even(3, images), np.arange(images))
    repeated = np.repeat(values, copies, axis=1)
    labels = np.repeat(np.arange(images), copies)
    assert error_over_queries(repeated, even(3, images * copies), labels) == pytest.approx(once)
    if once > 1e-9:
        assert error_over_queries(repeated, even(3, images * copies), np.arange(images * copies)) < once


def test_of_one_image_nothing_is_known() -> None:
    assert np.isnan(error_over_queries(np.ones((2, 3)), even(2, 3), np.zeros(3, np.int64)))
    # A query that no draw asks is no image more.
    weights = np.array([[0.5, 0.5, 0.0]])
    assert np.isnan(error_over_queries(np.ones((1, 3)), weights, np.array([4, 4, 9])))


def test_it_is_the_spread_of_means_of_sets_of_images() -> None:
    """Images of one to four queries whose answers hang together; the error of one set against that of many sets."""
    generator = np.random.default_rng(0)
    means, errors = [], []
    for _ in range(400):
        sizes = generator.integers(1, 5, 60)
        images = np.repeat(np.arange(60), sizes)
        hard = np.repeat(generator.beta(2, 1, 60), sizes)
        right = generator.random((5, len(images))) < hard
        means.append(right.mean())
        errors.append(error_over_queries(right, even(5, len(images)), images))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)
