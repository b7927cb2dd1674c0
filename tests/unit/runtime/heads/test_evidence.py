"""What the views not seen may change: tails as tabled, and outcomes that are known."""

from __future__ import annotations

import numpy as np
import pytest

from mvrec_edge.runtime import CentredZipAdapter, Head, SupportCache, ZipAdapter
from mvrec_edge.runtime.heads.evidence import UnseenViews, change_probability
from mvrec_edge.runtime.heads.student import student_tail


@pytest.mark.parametrize(
    ("value", "freedom", "tail"),
    # From tables of Student's t.
    [
        (12.7062, 1, 0.025),
        (4.3027, 2, 0.025),
        (2.5706, 5, 0.025),
        (2.7638, 10, 0.01),
        (3.7454, 24, 0.0005),
        (0.0, 7, 0.5),
    ],
)
def test_tails_are_those_of_the_tables(value: float, freedom: int, tail: float) -> None:
    assert student_tail(value, freedom) == pytest.approx(tail, rel=2e-2, abs=2e-5)
    assert student_tail(-value, freedom) == pytest.approx(1 - tail, abs=2e-5)


def test_tails_fall_and_keep_their_shape() -> None:
    values = np.linspace(-50, 50, 501).reshape(3, 167)
    for freedom in (1, 2, 3, 8, 47):
        tails = student_tail(values, freedom)
        assert tails.shape == values.shape
        assert (np.diff(tails.ravel()) <= 0).all()
        assert tails.min() >= 0
        assert tails.max() <= 1


def cache(noise: float, *, instances: int = 10, views: int = 9) -> SupportCache:
    """Two classes along two axes; `noise` is how far views of one instance lie apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(instances) % 2
    means = np.eye(16)[labels] * 4 + 0.3 * rng.standard_normal((instances, 16))
    embeddings = means[:, None] + noise * rng.standard_normal((instances, views, 16))
    return SupportCache.from_embeddings(embeddings, labels, ["a", "b"])


def risk(head: Head, embeddings: np.ndarray, seen: list[int], spread_factors: float = 1.0) -> float:
    margins = UnseenViews(head).margins(embeddings.astype(np.float32), np.array(seen))
    return change_probability(margins, [spread_factors])


@pytest.mark.parametrize("aggregate", ["mean", "uncertainty"])
def test_the_risk_grows_with_what_views_differ_by_and_falls_with_views_seen(aggregate: str) -> None:
    query = np.eye(16)[:1] * 4 + np.eye(16)[1:2] * 2
    risks = []
    for noise in (0.01, 1.0, 4.0):
        head = CentredZipAdapter(cache(noise), beta=4.0, aggregate=aggregate)
        risks.append(risk(head, np.repeat(query, 3, axis=0), [0, 1, 2]))
    assert risks[0] < 1e-6
    assert risks == sorted(risks)
    head = CentredZipAdapter(cache(2.0), beta=4.0, aggregate=aggregate)
    by_seen = [risk(head, np.repeat(query, count, axis=0), list(range(count))) for count in (2, 5, 8)]
    assert by_seen == sorted(by_seen, reverse=True)
    assert risk(head, np.repeat(query, 3, axis=0), [0, 1, 2], 3.0) > risk(head, np.repeat(query, 3, axis=0), [0, 1, 2])


def test_a_region_between_two_classes_is_not_settled() -> None:
    head = ZipAdapter(cache(0.5), beta=4.0, aggregate="mean")
    middle = head.cache.keys[:2].mean(axis=0)
    assert risk(head, np.repeat(middle[None], 3, axis=0), [0, 1, 2]) > 0.2


def test_a_support_whose_views_are_all_alike_expects_no_change() -> None:
    head = ZipAdapter(cache(0.0), beta=4.0, aggregate="mean")
    assert risk(head, np.repeat(head.cache.keys[:1], 2, axis=0), [0, 1]) == 0.0


def test_the_label_is_the_head_s_and_scores_rank_like_it() -> None:
    rng = np.random.default_rng(1)
    for aggregate in ("mean", "uncertainty"):
        head = CentredZipAdapter(cache(1.0), beta=4.0, aggregate=aggregate)
        queries = rng.standard_normal((20, 4, 16)).astype(np.float32)
        if aggregate == "mean":
            ranked = head.scores_of_means(queries.mean(axis=1)).argmax(axis=1)
            assert (ranked == head.logits(queries).argmax(axis=1)).all()
        margins = UnseenViews(head).margins(queries[0], np.arange(4))
        assert margins.label == head.logits(queries[:1])[0].argmax()
        assert len(margins.expected) == len(margins.spread) == 1
        assert margins.freedom == 9


def test_many_instances_are_thinned_evenly() -> None:
    head = CentredZipAdapter(cache(1.0, instances=500), beta=4.0, aggregate="uncertainty")
    margins = UnseenViews(head).margins(np.ones((3, 16), np.float32), np.arange(3))
    assert 8 <= margins.freedom + 1 <= 48
