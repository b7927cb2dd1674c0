"""The whitened metric against its definition, and without an image against one made anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.support import left_out_whitening, whitening
from mvrec_edge.runtime.support.left_out_whitening import LeftOutWhitening
from mvrec_edge.runtime.support.whitening import Whitening, unit_rows


def support(
    seed: int, counts: tuple[int, ...] = (3, 4, 2), views: int = 4, channels: int = 12
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = 1 + rng.standard_normal((len(counts), 1, channels))[labels] + rng.standard_normal((len(labels), 1, channels))
    return (rows + 0.3 * rng.standard_normal((len(labels), views, channels))).astype(np.float32), labels


def defined(embeddings: npt.NDArray[Any], labels: npt.NDArray[np.int64], kappa: float = 0.1) -> npt.NDArray[Any]:
    """The inverse of S of `Whitening`, written out term by term in float64."""
    x = embeddings.astype(np.float64)
    x /= np.linalg.norm(x, axis=2, keepdims=True)
    count, views, channels = x.shape
    means, classes = x.mean(axis=1), len(np.unique(labels))
    total = np.zeros((channels, channels))
    for instance in range(count):
        of_class = means[labels == labels[instance]].mean(axis=0)
        if count > classes:
            total += 3 * np.outer(means[instance] - of_class, means[instance] - of_class) / (count - classes)
        for view in x[instance]:
            if views > 1:
                total += np.outer(view - means[instance], view - means[instance]) / (count * (views - 1))
    centre = np.mean([means[labels == label].mean(axis=0) for label in np.unique(labels)], axis=0)
    return np.linalg.inv(total + kappa * (1 - centre @ centre) / count * np.eye(channels))


def cosine(metric: npt.NDArray[Any], a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    return float(a @ metric @ b / np.sqrt((a @ metric @ a) * (b @ metric @ b)))


@pytest.mark.parametrize(("counts", "views"), [((3, 4, 2), 4), ((1, 1), 4), ((3, 3), 1), ((1, 1), 1)])
def test_cosines_follow_the_definition(counts: tuple[int, ...], views: int) -> None:
    embeddings, labels = support(0, counts, views)
    queries = support(1, (2, 1), views)[0]
    metric = defined(embeddings, labels)
    found = Whitening(embeddings, labels, len(counts))
    x, q = unit_rows(embeddings).astype(np.float64), unit_rows(queries).astype(np.float64)
    means = x.mean(axis=1)
    view_means = np.mean([x[labels == label].mean(axis=0) for label in range(len(counts))], axis=0)
    centre = view_means.mean(axis=0)
    by_class = found.class_cosines(q.mean(axis=1).astype(np.float32))
    by_view = found.view_cosines(q.astype(np.float32), range(views))
    by_instance = found.instance_cosines(q.mean(axis=1).astype(np.float32))
    for row, query in enumerate(q):
        for label in range(len(counts)):
            mean = means[labels == label].mean(axis=0)
            want = cosine(metric, query.mean(axis=0) - centre, mean - centre)
            assert by_class[row, label] == pytest.approx(want, abs=2e-4)
        for instance in range(len(x)):
            each = [cosine(metric, query[v] - view_means[v], x[instance, v] - view_means[v]) for v in range(views)]
            assert by_view[row, instance] == pytest.approx(np.mean(each), abs=2e-4)
            want = cosine(metric, query.mean(axis=0) - centre, means[instance] - centre)
            assert by_instance[row, instance] == pytest.approx(want, abs=2e-4)


def test_one_shot_of_one_view_is_the_centred_cosine() -> None:
    embeddings, labels = support(3, (1, 1, 1), 1)
    found = Whitening(embeddings, labels, 3)
    queries = unit_rows(support(4, (5,), 1)[0])
    want = found.centred_cosines(queries[:, 0])
    np.testing.assert_allclose(found.class_cosines(queries[:, 0]), want, atol=1e-5)
    np.testing.assert_allclose(found.view_cosines(queries, [0]), want, atol=1e-5)


def test_the_matrix_whitens_in_small_blocks_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = support(5, channels=31)
    whole = Whitening(embeddings, labels, 3).matrix
    monkeypatch.setattr(whitening, "_BLOCK", 4)
    monkeypatch.setattr(whitening, "_MOST_FLOATS", 50)
    np.testing.assert_allclose(Whitening(embeddings, labels, 3).matrix, whole, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(whole @ whole.T, defined(embeddings, labels), rtol=2e-3, atol=2e-2)


@pytest.mark.parametrize("value", [1.0, 0.0])
def test_a_support_whose_views_are_all_alike_divides_by_nothing(value: float) -> None:
    found = Whitening(np.full((4, 3, 8), value, np.float32), np.array([0, 0, 1, 1]), 2)
    assert np.isfinite(found.class_cosines(np.ones((2, 8), np.float32))).all()
    assert np.isfinite(found.view_cosines(np.zeros((2, 3, 8), np.float32), [0, 1, 2])).all()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 4), min_size=2, max_size=4),
    st.integers(1, 5),
    st.integers(1, 6),
)
def test_without_an_image_it_is_what_is_made_anew(seed: int, counts: list[int], views: int, images: int) -> None:
    """All but the ridge: without an image that takes the centre of all."""
    embeddings, labels = support(seed, tuple(counts), views)
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, images, len(labels))
    whole = Whitening(embeddings, labels, len(counts))
    left_out = LeftOutWhitening(whole, groups)
    queries = unit_rows(support(seed + 1, (3,), views)[0])
    for instance in range(len(labels)):
        kept = groups != groups[instance]
        there = np.unique(labels[kept])
        if len(there) < 1:
            continue
        with pytest.MonkeyPatch.context() as patch:
            ridge = whitening.ridge(whole.centre, int(kept.sum()))
            patch.setattr(whitening, "ridge", lambda _centre, _count, ridge=ridge: ridge)
            anew = Whitening(embeddings[kept], np.searchsorted(there, labels[kept]), len(there))
            found = left_out.without(instance)
            means = queries.mean(axis=1)
            np.testing.assert_allclose(found.class_cosines(means)[:, there], anew.class_cosines(means), atol=2e-3)
            assert (np.delete(found.class_cosines(means), there, axis=1) == -1).all()
            np.testing.assert_allclose(found.centred_cosines(means), anew.centred_cosines(means), atol=1e-4)
            if kept.sum() > 1:
                np.testing.assert_allclose(
                    found.view_cosines(queries, range(views)), anew.view_cosines(queries, range(views)), atol=2e-3
                )
        np.testing.assert_array_equal(found.key_labels, labels[kept])


def test_the_ridge_of_all_is_near_that_of_the_rest() -> None:
    embeddings, labels = support(7, (5, 5, 5), 9, 24)
    found = LeftOutWhitening(Whitening(embeddings, labels, 3), np.arange(15)).without(3)
    rest = np.delete(np.arange(15), 3)
    anew = Whitening(embeddings[rest], labels[rest], 3)
    units = unit_rows(embeddings[[3]])
    np.testing.assert_allclose(
        found.class_cosines(units.mean(axis=1)), anew.class_cosines(units.mean(axis=1)), atol=0.01
    )
    np.testing.assert_allclose(found.view_cosines(units, range(9)), anew.view_cosines(units, range(9)), atol=0.01)


def test_images_of_as_many_instances_share_the_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    base = left_out_whitening._Base
    monkeypatch.setattr(left_out_whitening, "_Base", lambda *key: made.append(key[1:]) or base(*key))
    embeddings, labels = support(8, (4, 4), 2)
    left_out = LeftOutWhitening(Whitening(embeddings, labels, 2), np.array([0, 1, 2, 2, 3, 4, 5, 5]))
    for instance in range(8):
        left_out.without(instance)
    assert sorted(made) == [(1, 2), (2, 2)]
