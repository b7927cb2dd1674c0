"""The lowest limit that can be promised: small cases by hand, and the promise over many drawn supports."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib.fitting.limit_testing import independent_trials, lowest_limit


def found(wrong: list[int], count: int, rate: float, images: np.ndarray | None = None) -> float | None:
    """The limit of answers whose probabilities fall by a thousandth each, of which those at some places are wrong."""
    probabilities = 1 - np.arange(count) / 1000
    right = ~np.isin(np.arange(count), wrong)
    groups = np.arange(count) if images is None else images
    return lowest_limit(probabilities, right, groups, rate, 0.9)


@pytest.mark.parametrize(
    ("wrong", "count", "last"),
    [
        # 90% take 22 that are right, 38 of which one is wrong, 52 of which two are.
        ([], 21, None),
        ([], 22, 21),
        ([], 30, 29),
        ([0], 30, None),
        ([21], 22, None),
        ([21], 200, None),
        ([22], 30, 21),
        ([22], 37, 21),
        ([22], 38, 37),
        # Two wrong among 38 are too many, and it ends there, whatever comes later.
        ([22, 23], 38, 21),
        ([22, 23], 500, 21),
        ([22, 38], 51, 37),
        ([22, 38], 52, 51),
    ],
)
def test_small_cases_by_hand(wrong: list[int], count: int, last: int | None) -> None:
    limit = found(wrong, count, 0.9)
    assert limit == (None if last is None else pytest.approx(1 - last / 1000))


def test_answers_of_one_probability_are_above_a_limit_together() -> None:
    probabilities = np.repeat([0.9, 0.5], [30, 30])
    right = np.arange(60) < 31
    assert lowest_limit(probabilities, right, np.arange(60), 0.9, 0.9) == 0.9
    right[3] = False
    assert lowest_limit(probabilities, right, np.arange(60), 0.9, 0.9) is None


def test_answers_about_one_image_are_no_independent_trials() -> None:
    np.testing.assert_allclose(independent_trials(np.array([0, 1, 2, 3])), [1, 2, 3, 4])
    np.testing.assert_allclose(independent_trials(np.array([0, 0, 0, 1])), [1, 1, 1, 16 / 10])
    np.testing.assert_allclose(independent_trials(np.repeat(np.arange(5), 4))[-1], 5)
    assert len(independent_trials(np.zeros(0, np.int64))) == 0
    assert found([], 44, 0.9, np.repeat(np.arange(22), 2)) == pytest.approx(1 - 43 / 1000)
    assert found([], 42, 0.9, np.repeat(np.arange(21), 2)) is None


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count = draw(st.integers(0, 120))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    probabilities = generator.beta(4, 1, count).round(draw(st.sampled_from([1, 2, 8])))
    right = generator.random(count) < probabilities ** draw(st.sampled_from([0.05, 0.3, 1]))
    return probabilities, right, generator.integers(0, draw(st.sampled_from([10, 1000])), count)


@settings(max_examples=100, deadline=None)
@given(answers(), st.floats(0.5, 0.99), st.integers(0, 2**32))
def test_what_holds_for_any_answers(
    given_answers: tuple[np.ndarray, np.ndarray, np.ndarray], rate: float, seed: int
) -> None:
    probabilities, right, images = given_answers
    limit = lowest_limit(probabilities, right, images, rate, 0.9)
    if limit is not None:
        assert limit in probabilities
        assert right[probabilities >= limit].mean() >= rate
    order = np.random.default_rng(seed).permutation(len(probabilities))
    assert lowest_limit(probabilities[order], right[order], images[order], rate, 0.9) == limit
    assert lowest_limit(probabilities, np.zeros(len(right), np.bool_), images, rate, 0.9) is None


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 150), max_size=4),
    st.integers(0, 150),
    st.lists(st.floats(0.5, 0.99), min_size=2, max_size=2),
)
def test_where_nothing_can_be_promised_more_cannot_be_promised(
    wrong: list[int], count: int, rates: list[float]
) -> None:
    low, high = sorted(rates)
    assert found(wrong, count, low) is not None or found(wrong, count, high) is None


@settings(max_examples=100, deadline=None)
@given(answers(), st.floats(0.5, 0.95), st.floats(0.6, 0.99))
def test_all_right_a_higher_share_takes_more(
    given_answers: tuple[np.ndarray, np.ndarray, np.ndarray], rate: float, confidence: float
) -> None:
    """Where all are right it depends on their number alone, so a share that is promised is promised for all of them."""
    probabilities, right, images = given_answers
    limits = [
        lowest_limit(probabilities, np.ones(len(right), np.bool_), images, share, confidence)
        for share in (rate, rate + 0.04)
    ]
    assert limits[0] is not None or limits[1] is None
    for limit in limits:
        assert limit is None or limit == probabilities.min()


@pytest.mark.parametrize(("count", "rate"), [(100, 0.9), (300, 0.95)])
@pytest.mark.parametrize("sureness", [1.0, 1.5])
def test_the_promise_is_kept_as_often_as_stated(count: int, rate: float, sureness: float) -> None:
    """Also where stated probabilities are too high: the limit goes by what is right, not by what is stated."""
    generator = np.random.default_rng(7)
    broken = promised = 0
    for _ in range(150):
        stated = generator.beta(5, 0.4, count)
        right = generator.random(count) < stated**sureness
        limit = lowest_limit(stated, right, np.arange(count), rate, 0.9)
        if limit is not None:
            fresh = generator.beta(5, 0.4, 5000)
            promised += 1
            broken += float((fresh[fresh >= limit] ** sureness).mean()) < rate
    assert promised > 40
    assert broken <= 15


def test_the_promise_is_kept_where_answers_about_an_image_are_alike() -> None:
    generator = np.random.default_rng(3)
    images = np.repeat(np.arange(60), 4)
    broken = 0
    for _ in range(100):
        # All answers about an image are right or wrong together, and 88% of the images are right: 90% is no truth.
        right = np.repeat(generator.random(60) < 0.88, 4)
        limit = lowest_limit(generator.random(240), right, images, 0.9, 0.9)
        broken += limit is not None
    assert broken <= 10
