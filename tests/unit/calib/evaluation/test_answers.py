"""The answers of a head to queries, draw by draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.calib.evaluation.answers import NOT_ASKED, Answers


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 20), st.integers(2, 5))
def test_what_is_put_is_there_and_the_rest_is_not(seed: int, draws: int, queries: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=queries)
    answers = Answers.empty(labels, None, draws)
    assert not answers.asked.any()
    answers = Answers.empty(labels, None, draws)
    parts = [np.sort(generator.permutation(queries)[: generator.integers(1, queries + 1)]) for _ in range(draws)]
    said = [generator.dirichlet(np.ones(classes), len(part)).astype(np.float32) for part in parts]
    for draw, (part, probabilities) in enumerate(zip(parts, said, strict=True)):
        answers.put(draw, part, probabilities)
    for draw, (part, probabilities) in enumerate(zip(parts, said, strict=True)):
        assert np.flatnonzero(answers.asked[draw]).tolist() == part.tolist()
        assert answers.predicted[draw, part].tolist() == probabilities.argmax(axis=1).tolist()
        truth = np.eye(classes)[labels[part]]
        np.testing.assert_allclose(answers.true_probability[draw, part], (probabilities * truth).sum(axis=1))
        np.testing.assert_allclose(answers.stated[draw, part], probabilities.max(axis=1))
        squares = np.square(probabilities - truth).sum(axis=1)
        np.testing.assert_allclose(answers.square[draw, part], squares, atol=1e-5)
        np.testing.assert_allclose(answers.weights[draw].sum(), 1)
        assert (answers.weights[draw] > 0).tolist() == answers.asked[draw].tolist()
    assert not answers.right[~answers.asked].any()


def test_the_first_draws_alone() -> None:
    answers = Answers.empty(np.array([0, 1]), np.array([7, 7]), 2)
    answers.put(0, np.array([0]), np.array([[0.9, 0.1]], np.float32))
    answers.put(1, np.array([0, 1]), np.array([[0.2, 0.8], [0.4, 0.6]], np.float32))
    first = answers.first(1)
    assert first.predicted.tolist() == [[0, NOT_ASKED]]
    assert first.images.tolist() == [7, 7]
    assert first.stated[0, 0] == pytest.approx(0.9)
    assert answers.right.tolist() == [[True, False], [False, True]]
