"""Distances to classes: the definition written out, and what they must not depend on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime.errors import InputError, UsageError
from mvrec_edge.runtime.novelty import distances as module
from mvrec_edge.runtime.novelty.distances import NEAREST, ClassDistances, left_out_distances

Array = npt.NDArray[np.floating]


def support(counts: tuple[int, ...], *, views: int = 3, channels: int = 6, seed: int = 0) -> tuple[Array, Array]:
    labels = np.repeat(np.arange(len(counts)), counts)
    generator = np.random.default_rng(seed)
    looks = generator.standard_normal((len(counts), 1, channels))
    noise = generator.standard_normal((len(labels), views, channels))
    return (5 + looks[labels] + 0.3 * noise).astype(np.float16), labels


def written_out(query: Array, rows: Array, labels: Array, label: int) -> float:
    """The docstring of `ClassDistances`, word for word, in float64."""
    query, rows = query.astype(np.float64), rows.astype(np.float64)
    centre = np.mean([rows[labels == each].mean(axis=(0, 1)) for each in np.unique(labels)], axis=0)
    found = []
    for row in rows[labels == label]:
        cosines = [
            (q - centre) @ (x - centre) / np.linalg.norm(q - centre) / np.linalg.norm(x - centre)
            for q, x in zip(query, row, strict=True)
        ]
        found.append(1 - np.mean(cosines))
    return float(np.mean(sorted(found)[:NEAREST]))


def test_distances_are_what_is_written() -> None:
    rows, labels = support((3, 8, 1))
    queries, _ = support((4,), seed=1)
    answers = ClassDistances(rows, labels, 3).to_classes(queries)
    for row, query in zip(answers, queries, strict=True):
        wanted = [written_out(query, rows, labels, label) for label in range(3)]
        np.testing.assert_allclose(row, wanted, atol=1e-5)


def test_left_out_distances_are_what_is_written() -> None:
    rows, labels = support((3, 8, 1, 2))
    answers = left_out_distances(rows, labels)
    assert np.isnan(answers[11])
    for index in np.flatnonzero(labels != 2):
        others = np.arange(len(labels)) != index
        wanted = written_out(rows[index], rows[others], labels[others], labels[index])
        assert answers[index] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    "groups",
    [
        [0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],  # several of a class on an image, and two classes
        [0, 1, 2, 0, 1, 3, 4, 4, 4, 4, 4, 4, 5, 6],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 11, 12],  # a class of one instance on an image of another class
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0],  # two classes on one image alone
    ],
)
def test_distances_left_out_with_the_image_are_what_is_written(groups: list[int]) -> None:
    rows, labels = support((3, 8, 1, 2))
    images = np.array(groups)
    answers = left_out_distances(rows, labels, groups=images)
    for index, label in enumerate(labels):
        others = images != images[index]
        if label in labels[others]:
            wanted = written_out(rows[index], rows[others], labels[others], label)
            assert answers[index] == pytest.approx(wanted, abs=1e-5)
        else:
            assert np.isnan(answers[index])


def test_a_large_support_is_done_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = support((7, 9))
    queries, _ = support((5,), seed=1)
    whole = ClassDistances(rows, labels, 2).to_classes(queries), left_out_distances(rows, labels)
    monkeypatch.setattr(module, "_MOST_FLOATS", 60)
    np.testing.assert_allclose(ClassDistances(rows, labels, 2).to_classes(queries), whole[0], atol=1e-6)
    np.testing.assert_allclose(left_out_distances(rows, labels), whole[1], atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.floats(0.05, 20), st.randoms())
def test_order_and_scale_change_nothing(seed: int, factor: float, shuffler: object) -> None:
    rows, labels = support((4, 2, 7), seed=seed)
    rows = rows.astype(np.float32)
    queries = support((3,), seed=seed + 1)[0].astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(labels))
    renamed = np.array([2, 0, 1])
    before = ClassDistances(rows, labels, 3).to_classes(queries)
    after = ClassDistances(rows[order] * factor, renamed[labels[order]], 3).to_classes(queries * np.float32(factor))
    np.testing.assert_allclose(after[:, renamed], before, atol=1e-4)
    left = left_out_distances(rows[order] * factor, renamed[labels[order]])
    np.testing.assert_allclose(left, left_out_distances(rows, labels)[order], atol=1e-4)


def test_some_views_are_as_if_there_were_no_others() -> None:
    rows, labels = support((4, 3), views=5)
    queries, _ = support((2,), views=5, seed=1)
    chosen = [3, 0, 4]
    some = ClassDistances(rows, labels, 2, chosen).to_classes(queries[:, chosen])
    np.testing.assert_array_equal(some, ClassDistances(rows[:, chosen], labels, 2).to_classes(queries[:, chosen]))
    np.testing.assert_array_equal(left_out_distances(rows, labels, chosen), left_out_distances(rows[:, chosen], labels))
    # The order in which views are named is only the order in which they are handed over.
    np.testing.assert_allclose(
        ClassDistances(rows, labels, 2, [0, 3, 4]).to_classes(queries[:, [0, 3, 4]]), some, atol=1e-6
    )


@pytest.mark.parametrize("views", [[], [0, 0], [-1], [3], [0, 1, 2, 3]])
def test_views_that_are_not_there(views: list[int]) -> None:
    rows, labels = support((2, 2))
    with pytest.raises(UsageError, match="views must be different numbers from 0 to 2"):
        ClassDistances(rows, labels, 2, views)


def test_what_is_not_comparable_is_refused() -> None:
    distances = ClassDistances(*support((2, 2)), 2)
    with pytest.raises(UsageError, match=r"\[M, 3, 6\]"):
        distances.to_classes(np.ones((1, 2, 6), np.float32))
    with pytest.raises(InputError, match="not finite"):
        distances.to_classes(np.full((1, 3, 6), np.nan, np.float32))


def test_views_without_direction_count_as_distance_1() -> None:
    rows, labels = np.ones((4, 2, 3), np.float16), np.array([0, 0, 1, 1])
    np.testing.assert_array_equal(ClassDistances(rows, labels, 2).to_classes(rows[:1]), [[1, 1]])
    np.testing.assert_array_equal(left_out_distances(rows, labels), np.ones(4))
