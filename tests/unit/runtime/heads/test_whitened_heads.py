"""The whitened heads and their average: formulae, few views, left-out instances, and unequal classes."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib.fitting.leave_one_out import leave_one_out
from mvrec_edge.runtime import HeadSettings, SupportCache, open_head
from mvrec_edge.runtime.errors import InputError, SupportError, UsageError
from mvrec_edge.runtime.heads import AveragedHeads, WhitenedMeans, WhitenedViews, head_class, head_names
from mvrec_edge.runtime.heads.aggregation import softmax
from mvrec_edge.runtime.heads.averaged import CentredMeans
from mvrec_edge.runtime.support.whitening import unit_rows

TRAINING_FREE = [name for name in head_names() if not head_class(name).trains]


def cache(counts: tuple[int, ...] = (4, 3, 5), *, views: int = 9, seed: int = 0, noise: float = 0.8) -> SupportCache:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = 1 + rng.standard_normal((len(counts), 1, 20))[labels] + noise * rng.standard_normal((len(labels), 1, 20))
    embeddings = rows + 0.4 * rng.standard_normal((len(labels), views, 20))
    return SupportCache.from_embeddings(embeddings, labels, [f"c{place}" for place in range(len(counts))])


def queries(count: int = 6, views: int = 9, seed: int = 5) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (1 + rng.standard_normal((count, 1, 20)) + 0.4 * rng.standard_normal((count, views, 20))).astype(np.float32)


def test_logits_follow_their_formulae() -> None:
    support, asked = cache(), queries()
    whitening, units = support.whitening, unit_rows(queries())
    means = units.mean(axis=1)
    np.testing.assert_allclose(
        WhitenedMeans(support, 20.0, "mean").logits(asked), 20 * whitening.class_cosines(means), rtol=1e-5
    )
    for kind, cosines in (
        (WhitenedViews, whitening.view_cosines(units, range(9))),
        (CentredMeans, whitening.centred_cosines(means)),
    ):
        found = kind(support, 8.0, "mean").logits(asked)
        for label in range(3):
            want = np.log(np.exp(-8 * (1 - cosines[:, support.labels == label].astype(np.float64))).mean(axis=1))
            np.testing.assert_allclose(found[:, label], want, rtol=1e-4, atol=1e-4)


def test_the_average_weighs_logarithms_of_probabilities() -> None:
    experts = (
        HeadSettings("zip-w", 20, "mean", 3.0),
        HeadSettings("zip-vw", 8, "mean", 0.5),
        HeadSettings("zip-c", 8, "mean", 2.0),
    )
    support = dataclasses.replace(cache(), head=HeadSettings("average", 1.0, "mean", 1.5, experts))
    logs = []
    for kind, expert in zip((WhitenedMeans, WhitenedViews, CentredMeans), experts, strict=True):
        of_expert = kind(dataclasses.replace(support, head=expert))
        logs.append(np.log(softmax(of_expert.logits(queries()) / np.float32(expert.temperature))))
    head = open_head(support)
    np.testing.assert_allclose(head.logits(queries()), (2 * logs[0] + 2 * logs[1] + logs[2]) / 5, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        head.probabilities(queries()), softmax(head.logits(queries()) / np.float32(1.5)), rtol=1e-4
    )


def test_views_are_compared_with_the_same_views() -> None:
    support = cache(views=12)
    head = WhitenedViews(support, 8.0, "mean")
    asked = queries(views=12)
    few = [1, 3, 4, 5, 6, 7, 8, 9, 11]
    want = head.logits_in(support.whitening, unit_rows(asked[:, few]), np.array(few))
    np.testing.assert_allclose(head.logits(asked[:, few], few), want)
    # Which views they are matters, and is not guessed.
    assert not np.allclose(head.logits(asked[:, few], few), head.logits(asked[:, few], [0, *few[1:]]))
    means = WhitenedMeans(support, 20.0, "mean")
    np.testing.assert_array_equal(head.logits(asked[:, few]).argmax(axis=1), means.logits(asked[:, few]).argmax(axis=1))


@pytest.mark.parametrize("name", ["zip-vw", "average"])
def test_few_views_are_judged_by_their_mean(name: str) -> None:
    support = dataclasses.replace(cache(views=12), head=head_class(name).defaults)
    head, asked = open_head(support), queries(views=12)[:, :8]
    scores = head.scores_of_means(unit_rows(asked).mean(axis=1))
    np.testing.assert_allclose(head.logits(asked, range(8)), scores, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("views", [[0, 1, 1], [0, 1, 12], [-1, 0, 1], [0, 1]])
def test_views_that_there_are_not_are_refused(views: list[int]) -> None:
    with pytest.raises(UsageError, match="views must be 3 different numbers from 0 to 11"):
        WhitenedViews(cache(views=12), 8.0, "mean").logits(queries(views=3), views)


@pytest.mark.parametrize("name", ["zip-w", "zip-vw", "average"])
def test_leaving_out_is_near_making_the_cache_without_it(name: str) -> None:
    """Only near: without an image the ridge takes the centre of all; see the tests of the metric itself."""
    support = dataclasses.replace(cache(views=9), head=head_class(name).defaults)
    left_out = leave_one_out(support)
    assert left_out.instances.tolist() == list(range(12))
    for logits, index in zip(left_out.logits, left_out.instances, strict=True):
        rest = support.subset(np.delete(np.arange(12), index))
        want = open_head(rest).logits(support.embeddings[[index]].astype(np.float32))[0]
        np.testing.assert_allclose(softmax(logits), softmax(want), atol=0.02)


def test_an_unknown_expert_is_refused() -> None:
    settings_of = HeadSettings("average", 1.0, "mean", experts=(HeadSettings("zip-f"),))
    with pytest.raises(UsageError, match="no expert 'zip-f'"):
        AveragedHeads(dataclasses.replace(cache(), head=settings_of))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 5),
    st.integers(2, 4),
    st.sampled_from(TRAINING_FREE),
)
def test_a_class_twice_as_large_wins_no_query(seed: int, shots: int, classes: int, name: str) -> None:
    support = cache((shots,) * classes, seed=seed)
    support = dataclasses.replace(support, head=head_class(name).defaults)
    own = np.flatnonzero(support.labels == 0)
    doubled = support.changed(
        embeddings=np.concatenate([support.embeddings, support.embeddings[own]]),
        labels=np.concatenate([support.labels, support.labels[own]]),
        sources=[str(place) for place in range(len(support.labels) + len(own))],
    )
    asked = queries(20, seed=seed)
    before, after = (open_head(each).logits(asked) for each in (support, doubled))
    margin = before[:, 0] - before[:, 1:].max(axis=1)
    won = (after.argmax(axis=1) == 0) & (before.argmax(axis=1) != 0)
    if name in ("zip", "zip-c"):
        assert not won[margin < -1e-4].any()
    else:
        # The scatter is that of all instances, so the class has a part in which directions count.
        assert won.mean() <= 0.1


@pytest.mark.parametrize("name", ["zip-w", "zip-vw", "average"])
def test_an_embedding_without_direction_or_too_large_is_refused(name: str) -> None:
    head = open_head(dataclasses.replace(cache(), head=head_class(name).defaults))
    dead = queries().copy()
    dead[2, 4] = 0
    with pytest.raises(InputError, match="is zero"):
        head.predict(dead)
    for value in (1e39, 1e20, -np.inf, np.nan):
        wide = queries().astype(np.float64)
        wide[1, 3, 5] = value
        with pytest.raises(InputError, match="not finite, or too large"):
            head.predict(wide)


@pytest.mark.parametrize("name", ["zip-w", "zip-vw", "average"])
def test_a_support_that_is_all_alike_prefers_no_class(name: str) -> None:
    rows = np.random.default_rng(3).standard_normal(20)
    embeddings = np.tile(rows, (6, 9, 1))
    support = SupportCache.from_embeddings(embeddings, [0, 1, 1, 1, 1, 1], ["a", "b"], head=head_class(name).defaults)
    np.testing.assert_allclose(open_head(support).probabilities(queries()), 0.5, atol=1e-3)


def test_an_example_at_the_centre_is_no_fault_of_the_engine() -> None:
    embeddings = np.tile(np.random.default_rng(3).standard_normal(20), (4, 9, 1))
    support = SupportCache.from_embeddings(embeddings, [0, 0, 1, 1], ["a", "b"], head=head_class("zip-c").defaults)
    with pytest.raises(SupportError, match="labelled as several classes"):
        open_head(support)
