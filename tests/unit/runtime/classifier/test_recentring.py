"""A centre that follows the line: where it goes, what it must not do, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib import fit_novelty
from mvrec_edge.runtime import ClassifySettings, DefectClassifier, ImageRegions, Region, SupportCache, ViewPlan
from mvrec_edge.runtime.classifier.recentring import WINDOW, Recentring, RecentringTally, check_recentring
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.gradual import ViewUse
from mvrec_edge.runtime.heads import head_class, open_head
from mvrec_edge.testing import FakeEngine

PLAN = ViewPlan.by_name("ms", size=16, resample="fast")
REGION = Region.from_box((20, 10, 30, 22), (60, 80))
HEADS = ["average", "zip-w", "zip-vw", "zip-c"]
LOOKS = np.eye(16, dtype=np.float32)[:3]


def rows(labels: list[int], seed: int = 0, views: int = 3) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((len(labels), views, 16))
    return (3 + 2 * LOOKS[labels][:, None] + 0.1 * noise).astype(np.float32)


def cache(head: str = "zip-w", shots: int = 3) -> SupportCache:
    labels = [0] * shots + [1] * shots + [2] * shots
    return SupportCache.from_embeddings(rows(labels), labels, "abc", head=head_class(head).settings())


def seen(recentring: Recentring, embeddings: np.ndarray, names: str) -> None:
    recentring.see(embeddings, names, names, [False] * len(names))


@pytest.mark.parametrize("head", HEADS)
def test_a_move_by_nothing_changes_nothing(head: str) -> None:
    opened = open_head(cache(head))
    queries = rows([0, 1, 2], 1)
    np.testing.assert_array_equal(opened.logits(queries, move=np.zeros(16, np.float32)), opened.logits(queries))
    one, other = opened.predict(queries, move=np.zeros(16, np.float32)), opened.predict(queries)
    assert [each.label for each in one] == [each.label for each in other] == ["a", "b", "c"]


def test_queries_that_move_with_the_centre_are_told_as_before() -> None:
    shift = np.linspace(-0.3, 0.4, 16, dtype=np.float32)
    opened, queries = open_head(cache("zip-c")), rows([0, 1, 2], 1)
    np.testing.assert_allclose(opened.logits(queries + shift, move=shift), opened.logits(queries), rtol=1e-3)


@pytest.mark.parametrize("head", HEADS[:3])
def test_whitened_heads_move_views_of_length_one(head: str) -> None:
    shift = np.linspace(-0.3, 0.4, 16, dtype=np.float32)
    opened, queries = open_head(cache(head)), rows([0, 1, 2], 1)
    lengths = np.linalg.norm(queries, axis=2, keepdims=True)
    want = opened._logits(queries / lengths - shift, np.arange(3))
    np.testing.assert_allclose(opened.logits(queries, move=shift), want, rtol=1e-4, atol=1e-4)


def test_it_moves_by_the_mean_of_what_the_classes_moved_by() -> None:
    head = open_head(cache())
    recentring = Recentring(head)
    assert recentring.move().vector is None
    line = rows([0, 0, 1], 2)
    seen(recentring, line, "aab")
    means, of_support = head.rows(line).mean(axis=1), head.rows(cache().embeddings).mean(axis=1)
    of_a = means[:2].mean(axis=0) - of_support[:3].mean(axis=0)
    of_b = means[2] - of_support[3:6].mean(axis=0)
    found = recentring.move()
    np.testing.assert_allclose(found.vector, (of_a * 2 / 4 + of_b * 1 / 3) / 3, atol=1e-6)
    assert 0 < found.length < 1


def test_one_class_that_always_comes_moves_it_by_its_own_part_alone() -> None:
    """However many regions of a class come, they say nothing of the other classes."""
    head = open_head(cache())
    recentring = Recentring(head)
    seen(recentring, np.repeat(rows([0], 3), 150, axis=0), "a" * 150)
    own = head.rows(rows([0], 3)).mean(axis=(0, 1)) - head.rows(cache().embeddings[:3]).mean(axis=(0, 1))
    np.testing.assert_allclose(recentring.move().vector, own * 150 / 152 / 3, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1e3))
def test_it_never_moves_further_than_the_bound(seed: int, far: float) -> None:
    recentring = Recentring(open_head(cache("zip-c")))
    labels = np.random.default_rng(seed).integers(0, 3, 40)
    seen(recentring, rows(labels.tolist(), seed) + np.float32(far), "".join("abc"[label] for label in labels))
    move = recentring.move()
    assert move.vector is not None
    assert np.isfinite(move.vector).all()
    assert 0 <= move.length <= 1


def test_it_forgets_what_lies_before_the_window() -> None:
    head = open_head(cache("zip-c"))
    one, other = Recentring(head), Recentring(head)
    seen(one, rows([1] * 20, 4) + 1, "b" * 20)
    for recentring in (one, other):
        seen(recentring, rows([0] * WINDOW, 5), "a" * WINDOW)
    np.testing.assert_array_equal(one.move().vector, other.move().vector)
    one.reset()
    assert one.move().vector is None


def test_what_both_centres_do_not_agree_on_and_what_is_unknown_does_not_count() -> None:
    recentring = Recentring(open_head(cache()))
    recentring.see(rows([0, 1]), "ab", "bb", [False, True])
    assert recentring.move().vector is None


@pytest.mark.parametrize(
    ("head", "shots", "use", "what"),
    [
        ("zip", 3, ViewUse(), "the head zip has no centre"),
        ("zip-w", 2, ViewUse(), "the class 'a' has 2 instances, and it takes 3 of every class"),
        ("average", 1, ViewUse(), "the class 'a' has 1 instance, and"),
        ("zip-w", 3, ViewUse("auto"), "with some of the views"),
        ("zip-w", 3, ViewUse(2), "with some of the views"),
    ],
)
def test_what_cannot_follow_is_refused(head: str, shots: int, use: ViewUse, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        check_recentring(open_head(cache(head, shots)), use)
    with pytest.raises(UsageError, match=what):
        ClassifySettings(views=use.views, recentre=True).check_cache(cache(head, shots))


def test_a_head_without_a_centre_refuses_a_move() -> None:
    with pytest.raises(UsageError, match="has no centre"):
        open_head(cache("zip")).logits(rows([0]), move=np.zeros(16, np.float32))


def image(kind: int, seed: int) -> np.ndarray:
    """Kinds differ in which corner is bright."""
    pixels = np.random.default_rng(seed).integers(0, 90, (60, 80, 3), dtype=np.uint8)
    top, left = ((0, 0), (0, 25), (16, 0))[kind]
    pixels[top : top + 16, left : left + 25] += 120
    return pixels


def line_cache(shots: int = 4) -> SupportCache:
    engine = FakeEngine(image_size=16)
    plain = DefectClassifier(engine, _made(engine, shots))
    return plain.cache


def _made(engine: FakeEngine, shots: int) -> SupportCache:
    from mvrec_edge.runtime import crop_views

    labels = np.repeat([0, 1], shots)
    images = [image(kind, 10 * kind + number) for kind in (0, 1) for number in range(shots)]
    embeddings = np.stack([engine.encode(crop_views(each, REGION, PLAN)) for each in images])
    head = head_class("zip-w").settings()
    made = SupportCache.from_embeddings(embeddings, labels, "ab", view_plan=PLAN, encoder="fake", head=head)
    return fit_novelty(made)


def stream(count: int, darker: int = 0) -> list[ImageRegions[None]]:
    return [ImageRegions(None, image(n % 2, 100 + n) // (1 + darker), [REGION]) for n in range(count)]


def test_a_classifier_follows_and_says_so() -> None:
    said: list[str] = []
    classifier = DefectClassifier(FakeEngine(image_size=16), line_cache(), recentre=True, say=said.append)
    plain = DefectClassifier(FakeEngine(image_size=16), line_cache())
    following = [each[0] for _, each in classifier.classify_many(stream(12))]
    fixed = [each[0] for _, each in plain.classify_many(stream(12))]
    assert all(each.recentred is None and "recentred" not in each.to_record() for each in fixed)
    told = [each.recentred for each in following if each.recentred is not None]
    assert [each.fixed_class for each in told] == [each.nearest_class for each in fixed]
    assert told[0].moved == 0
    assert following[0].probabilities == fixed[0].probabilities
    assert 0 < told[-1].moved <= 1
    assert following[-1].to_record()["recentred"]["fixed_class"] == told[-1].fixed_class
    # Once more, it begins at the support's centre: the same stream gives the same.
    again = DefectClassifier(FakeEngine(image_size=16), line_cache(), recentre=True)
    assert [each[0].probabilities for _, each in again.classify_many(stream(12))] == [
        each.probabilities for each in following
    ]
    tally = RecentringTally()
    tally.see(fixed)
    assert tally.in_words() is None
    tally.see(following)
    assert "0 of 12 decisions differ from those about the support's centre" in str(tally.in_words())


def test_a_reload_begins_again(tmp_path: Path) -> None:
    line_cache().save(tmp_path / "a")
    classifier = DefectClassifier(FakeEngine(image_size=16), tmp_path / "a", recentre=True)
    list(classifier.classify_many(stream(6)))
    classifier.reload()
    ((_, (first,)),) = classifier.classify_many(stream(1))
    assert first.recentred is not None
    assert first.recentred.moved == 0
    with pytest.raises(UsageError, match="it takes 3 of every class"):
        classifier.reload(line_cache(shots=2))
    zips = dataclasses.replace(line_cache(), head=head_class("zip").settings())
    with pytest.raises(UsageError, match="no centre"):
        DefectClassifier(FakeEngine(image_size=16), zips, recentre=True)


def test_a_drift_begins_again() -> None:
    said: list[str] = []
    classifier = DefectClassifier(
        FakeEngine(image_size=16), line_cache(), recentre=True, drift_window=10, say=said.append
    )
    inverted = [ImageRegions(None, 255 - each.image, each.regions) for each in stream(11)]
    found = [each[0].recentred for _, each in classifier.classify_many(inverted)]
    assert len(said) == 1
    assert found[10] is not None
    assert found[10].moved == 0
