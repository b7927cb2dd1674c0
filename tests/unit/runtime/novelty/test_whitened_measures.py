"""Both measures in the whitened metric: by their definition, and without an image as against a support made anew."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.novelty import whitened_measures
from mvrec_edge.runtime.novelty.whitened_measures import WhitenedMeasures, left_out_measures
from mvrec_edge.runtime.support import whitening
from mvrec_edge.runtime.support.whitening import Whitening, unit_rows

CHANNELS, VIEWS = 12, 4


def support(
    seed: int, counts: tuple[int, ...] = (3, 4, 2), views: int = VIEWS
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    looks = 1 + rng.standard_normal((len(counts), 1, CHANNELS))[labels]
    rows = looks + rng.standard_normal((len(labels), 1, CHANNELS))
    return (rows + 0.3 * rng.standard_normal((len(labels), views, CHANNELS))).astype(np.float32), labels


def test_they_follow_their_definition() -> None:
    embeddings, labels = support(0)
    metric = Whitening(embeddings, labels, 3)
    inverse = metric.matrix.astype(np.float64) @ metric.matrix.T
    queries = support(1, (2, 3))[0]
    found = WhitenedMeasures(metric)(queries)
    for row, query in zip(found, unit_rows(queries).mean(axis=1), strict=True):
        z, classes = query - metric.centre, metric.class_means - metric.centre
        cosines = [z @ inverse @ p / np.sqrt((z @ inverse @ z) * (p @ inverse @ p)) for p in classes]
        lengths = [np.sqrt((z - p) @ inverse @ (z - p)) for p in classes]
        assert row[0] == pytest.approx(1 - max(cosines), abs=1e-4)
        assert row[1] == pytest.approx(np.log(min(lengths)), abs=1e-4)


def test_the_angle_does_not_see_how_far_out_a_region_lies_and_the_distance_does() -> None:
    embeddings, labels = support(0)
    metric = Whitening(embeddings, labels, 3)
    near = metric.class_means[0]
    far = metric.centre + 3 * (near - metric.centre)
    rows = np.stack([near, far])[:, None] - metric.centre
    angle, distance = whitened_measures._measures(
        (rows[:, 0] @ metric.matrix), (metric.class_means - metric.centre) @ metric.matrix
    ).T
    np.testing.assert_allclose(angle, 0, atol=1e-5)
    assert distance[0] < -10
    assert distance[1] > 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 4), min_size=2, max_size=4), st.integers(1, 5))
def test_left_out_is_as_made_anew(seed: int, counts: list[int], views: int) -> None:
    """All but the ridge, which takes the centre of all."""
    embeddings, labels = support(seed, tuple(counts), views)
    groups = np.random.default_rng(seed).integers(0, 6, len(labels))
    whole = Whitening(embeddings, labels, len(counts))
    usable = np.array([(groups[labels == label] != group).any() for label, group in zip(labels, groups, strict=True)])
    found = left_out_measures(whole, groups, usable)
    assert np.isnan(found[~usable]).all()
    for instance in np.flatnonzero(usable):
        kept = groups != groups[instance]
        there = np.unique(labels[kept])
        with pytest.MonkeyPatch.context() as patch:
            ridge = whitening.ridge(whole.centre, int(kept.sum()))
            patch.setattr(whitening, "ridge", lambda _centre, _count, ridge=ridge: ridge)
            anew = Whitening(embeddings[kept], np.searchsorted(there, labels[kept]), len(there))
            (wanted,) = WhitenedMeasures(anew)(embeddings[[instance]])
        np.testing.assert_allclose(found[instance], wanted, atol=5e-3)


def test_of_many_instances_some_of_every_class_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whitened_measures, "_MOST_LEFT_OUT", 8)
    embeddings, labels = support(2, (20, 10, 10))
    every = np.ones(40, np.bool_)
    found = left_out_measures(Whitening(embeddings, labels, 3), np.arange(40), every)
    measured = np.isfinite(found).all(axis=1)
    assert measured.sum() == 8
    assert np.bincount(labels[measured], minlength=3).tolist() == [4, 2, 2]


def test_a_support_whose_views_are_all_alike_divides_by_nothing() -> None:
    metric = Whitening(np.ones((4, 3, 8), np.float32), np.array([0, 0, 1, 1]), 2)
    assert np.isfinite(WhitenedMeasures(metric)(np.ones((2, 3, 8), np.float32))).all()
    assert np.isfinite(left_out_measures(metric, np.arange(4), np.ones(4, np.bool_))).all()
