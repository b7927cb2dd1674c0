"""The novelty of regions against a cache."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib import fit_novelty
from mvrec_edge.runtime import NoveltyScorer, SupportCache
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.novelty import KnownDistances, NoveltyLimits
from mvrec_edge.runtime.novelty.distances import ClassDistances
from mvrec_edge.runtime.novelty.whitened_measures import WhitenedMeasures

CHANNELS, VIEWS = 16, 4


def classes(count: int, instances: int, seed: int = 0, *, first: int = 0) -> np.ndarray:
    """Embeddings of classes, float32 `[count * instances, V, C]`, with the large common part that CLIP has."""
    generator = np.random.default_rng(seed)
    looks = np.eye(CHANNELS)[first : first + count]
    noise = generator.standard_normal((count, instances, VIEWS, CHANNELS))
    rows = 5 + looks[:, None, None] + 0.1 * noise
    return rows.reshape(-1, VIEWS, CHANNELS).astype(np.float32)


def cache(shots: int = 4, rate: float | None = 0.05, seed: int = 0) -> SupportCache:
    labels = np.repeat(np.arange(3), shots)
    made = SupportCache.from_embeddings(classes(3, shots, seed), labels, ("a", "b", "c"))
    return fit_novelty(made, rate)


def test_known_defects_are_known_and_others_are_not() -> None:
    scorer = NoveltyScorer(cache())
    known, unknown = scorer.score(classes(3, 20, 1)), scorer.score(classes(3, 20, 1, first=8))
    assert [novelty.nearest for novelty in known] == ["a"] * 20 + ["b"] * 20 + ["c"] * 20
    assert max(novelty.score for novelty in known) < min(novelty.score for novelty in unknown)
    assert all(novelty.unknown for novelty in unknown)


@pytest.mark.parametrize(("shots", "most"), [(2, 0.12), (4, 0.12), (8, 0.08), (30, 0.05)])
def test_about_as_many_known_defects_are_rejected_as_was_asked_for(shots: int, most: float) -> None:
    """Few shots share their pairs, so their spread is somewhat too small; it must not be far too small."""
    rejected = []
    for seed in range(20):
        found = NoveltyScorer(cache(shots, seed=seed)).score(classes(3, 20, 1000 + seed))
        rejected.append(np.mean([novelty.unknown for novelty in found]))
    assert 0.01 < np.mean(rejected) < most


def test_left_out_instances_lie_as_far_as_new_ones() -> None:
    """What is measured on the support must hold for queries: no part of leaving out may bring an instance nearer."""
    means = []
    for seed in range(20):
        scorer = NoveltyScorer(cache(3, seed=seed))
        means.append(np.mean([novelty.deviations for novelty in scorer.score(classes(3, 20, 1000 + seed))]))
    assert abs(np.mean(means)) < 0.4


def test_without_a_rate_there_is_a_score_and_no_verdict() -> None:
    (novelty,) = NoveltyScorer(cache(rate=None)).score(classes(1, 1))
    assert novelty.limit is None
    assert novelty.unknown is None
    (asked,) = NoveltyScorer(cache(rate=None), 0.05).score(classes(1, 1))
    assert asked.score == novelty.score
    assert asked.unknown is False


def test_a_rate_that_is_given_comes_before_the_stored_one() -> None:
    assert NoveltyScorer(cache(rate=0.05)).reject_rate == 0.05
    strict, loose = (NoveltyScorer(cache(rate=0.05), rate).score(classes(1, 1))[0].limit for rate in (0.2, 0.001))
    assert strict is not None
    assert loose is not None
    assert strict < loose


def test_single_instances_give_a_distance_and_no_verdict() -> None:
    alone = cache(shots=1, rate=None)
    (novelty,) = NoveltyScorer(alone).score(classes(1, 1))
    assert novelty.deviations is None
    assert novelty.unknown is None
    assert novelty.score == pytest.approx(0, abs=1e-3)
    with pytest.raises(UsageError, match="single instance"):
        NoveltyScorer(alone, 0.05)


def test_a_cache_without_left_out_distances_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="calibrate again"):
        NoveltyScorer(dataclasses.replace(cache(), novelty=None))


def test_some_views_are_judged_by_the_same_views_of_the_support() -> None:
    whole = cache()
    chosen = [2, 0]
    fewer = fit_novelty(SupportCache.from_embeddings(whole.embeddings[:, chosen], whole.labels, "abc"), 0.05)
    queries = classes(3, 2, 1)[:, chosen]
    scorer = NoveltyScorer(whole)
    assert scorer.score(queries, chosen) == NoveltyScorer(fewer).score(queries)
    assert scorer.score(queries, chosen) == scorer.score(queries, chosen)
    with pytest.raises(UsageError, match="views must be"):
        scorer.score(queries, [0, 9])


def test_many_sets_of_views_do_not_pile_up() -> None:
    scorer = NoveltyScorer(cache())
    first = scorer.score(classes(1, 1)[:, [0, 1]], [0, 1])
    for one in range(VIEWS):
        for other in range(VIEWS):
            if one != other:
                scorer.score(classes(1, 1)[:, [one, other]], [one, other])
    assert len(scorer._view_sets) <= 8
    assert scorer.score(classes(1, 1)[:, [0, 1]], [0, 1]) == first


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000))
def test_the_order_of_instances_and_classes_changes_nothing(seed: int) -> None:
    generator = np.random.default_rng(seed)
    support = cache(shots=3, seed=seed)
    order = generator.permutation(len(support.labels))
    renamed = generator.permutation(3)
    names = np.empty(3, object)
    names[renamed] = support.class_names
    shuffled = SupportCache.from_embeddings(support.embeddings[order], renamed[support.labels[order]], tuple(names))
    queries = classes(5, 2, seed + 1)
    before = NoveltyScorer(support).score(queries)
    after = NoveltyScorer(fit_novelty(shuffled, 0.05)).score(queries)
    for one, other in zip(before, after, strict=True):
        assert other.nearest == one.nearest
        assert other.score == pytest.approx(one.score, rel=1e-4, abs=1e-3)
        assert other.limit == pytest.approx(one.limit, rel=1e-4, abs=1e-3)


def test_a_cache_of_distances_alone_is_scored_by_them_as_before() -> None:
    whole = cache()
    assert whole.novelty is not None
    older = dataclasses.replace(whole, novelty=dataclasses.replace(whole.novelty, left_out_whitened=None))
    queries = classes(5, 2, 1)
    found = NoveltyScorer(older).score(queries)
    distances = ClassDistances(older.embeddings, older.labels, 3).to_classes(queries)
    known = KnownDistances.of(whole.novelty.left_out, older.labels, 3)
    limits = NoveltyLimits.at(0.05, known)
    for novelty, row in zip(found, distances - known.distances, strict=True):
        assert novelty.score == row.min()
        assert novelty.limit == limits.classes[int(row.argmin())].limit
        assert novelty.deviations == pytest.approx(row.min() / known.spread)
    assert max(novelty.score for novelty in found) <= 2
    # With fewer views as well, though these are measured here.
    assert max(novelty.score for novelty in NoveltyScorer(older).score(queries[:, :2], [0, 1])) <= 2


def test_it_is_the_sum_of_what_is_standardised() -> None:
    whole = cache()
    queries = classes(5, 2, 1)
    scorer = NoveltyScorer(whole)
    assert whole.novelty is not None
    assert whole.novelty.left_out_whitened is not None
    left_out = KnownDistances.of(whole.novelty.left_out, whole.labels, 3)
    excess = ClassDistances(whole.embeddings, whole.labels, 3).to_classes(queries) - left_out.distances
    measured, of_left_out = WhitenedMeasures(whole.whitening)(queries), whole.novelty.left_out_whitened
    wanted = excess.min(axis=1) / left_out.spread
    wanted += ((measured - of_left_out.mean(axis=0)) / of_left_out.std(axis=0, ddof=1)).sum(axis=1)
    np.testing.assert_allclose([novelty.score for novelty in scorer.score(queries)], wanted, rtol=1e-3)
    residuals = left_out.residuals / left_out.spread
    assert scorer.known.residuals.mean() == pytest.approx(residuals.mean(), abs=1e-4)
    assert scorer.known.degrees == left_out.degrees
