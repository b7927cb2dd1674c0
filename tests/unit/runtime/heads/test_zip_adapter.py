"""The Zip-Adapter against its definition, and what must always hold for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime import HeadSettings, SupportCache, ZipAdapter
from mvrec_edge.runtime.errors import InputError, UsageError

NAMES = ("crack", "dent", "stain")


def cache(seed: int = 0, *, shots: int = 4, views: int = 3, channels: int = 16) -> SupportCache:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((len(NAMES), 1, 1, channels)) * 2
    embeddings = centres + rng.standard_normal((len(NAMES), shots, views, channels))
    labels = np.repeat(np.arange(len(NAMES)), shots)
    order = rng.permutation(len(labels))
    flat = embeddings.reshape(-1, views, channels)
    return SupportCache.from_embeddings(flat[order], labels[order], NAMES)


def queries(seed: int = 1, count: int = 5, views: int = 3, channels: int = 16) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, views, channels)).astype(np.float32)


def defined_logits(support: SupportCache, query: npt.NDArray[np.float64], beta: float) -> npt.NDArray[np.float64]:
    """The formula of MVREC, written out term by term in float64 for one query vector."""
    total = np.zeros(len(support.class_names))
    for embedding, label in zip(support.embeddings.astype(np.float64), support.labels, strict=True):
        key = embedding.mean(axis=0)
        cosine = query @ key / np.linalg.norm(query) / np.linalg.norm(key)
        total[label] += np.exp(-beta * (1 - cosine))
    return total / 0.11


@pytest.mark.parametrize("beta", [1.0, 8.0, 32.0])
def test_mean_follows_the_definition(beta: float) -> None:
    support, query = cache(), queries()
    got = ZipAdapter(support, beta=beta, aggregate="mean").logits(query)
    for row, embedding in zip(got, query, strict=True):
        want = defined_logits(support, embedding.mean(axis=0).astype(np.float64), beta)
        np.testing.assert_allclose(row, want, rtol=2e-4, atol=1e-6)


def test_uncertainty_follows_the_definition() -> None:
    support, query = cache(), queries()
    got = ZipAdapter(support, beta=8.0, aggregate="uncertainty").probabilities(query)
    for row, embedding in zip(got, query, strict=True):
        views = []
        for view in embedding.astype(np.float64):
            logits = defined_logits(support, view, 8.0)
            exponential = np.exp(logits - logits.max())
            views.append(exponential / exponential.sum())
        weights = np.array([1 + (p * np.log(p)).sum() / np.log(len(NAMES)) for p in views])
        want = (weights[:, None] / weights.sum() * np.array(views)).sum(axis=0)
        np.testing.assert_allclose(row, want, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("aggregate", ["uncertainty", "mean"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), beta=st.floats(0.1, 100))
def test_probabilities_are_probabilities(aggregate: str, seed: int, beta: float) -> None:
    got = ZipAdapter(cache(seed), beta=beta, aggregate=aggregate).probabilities(queries(seed))
    assert (got >= 0).all()
    np.testing.assert_allclose(got.sum(axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("aggregate", ["uncertainty", "mean"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 100))
def test_length_and_order_do_not_matter(aggregate: str, seed: int, scale: float) -> None:
    support, query = cache(seed), queries(seed)
    got = ZipAdapter(support, aggregate=aggregate).probabilities(query)
    scaled = ZipAdapter(support, aggregate=aggregate).probabilities(query * np.float32(scale))
    np.testing.assert_allclose(scaled, got, rtol=1e-3, atol=1e-5)
    order = np.random.default_rng(seed).permutation(len(support.labels))
    shuffled = SupportCache.from_embeddings(support.embeddings[order], support.labels[order], NAMES)
    again = ZipAdapter(shuffled, aggregate=aggregate).probabilities(query[:, ::-1])
    np.testing.assert_allclose(again, got, rtol=1e-3, atol=1e-5)


def test_one_query_alone_gets_what_it_gets_among_others() -> None:
    head, query = ZipAdapter(cache()), queries(count=9)
    together = head.probabilities(query)
    alone = np.concatenate([head.probabilities(query[index : index + 1]) for index in range(9)])
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_more_keys_than_fit_at_once_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from mvrec_edge.runtime.heads import head as head_module

    head, query = ZipAdapter(cache()), queries(count=9)
    whole = head.logits(query)
    monkeypatch.setattr(head_module, "MOST_SIMILARITIES", 13)
    np.testing.assert_allclose(head.logits(query), whole, rtol=1e-5)


def test_a_support_instance_finds_itself() -> None:
    support = cache()
    for index, prediction in enumerate(ZipAdapter(support).predict(support.embeddings.astype(np.float32))):
        nearest = prediction.nearest[0]
        assert nearest.index == index
        assert nearest.similarity == pytest.approx(1.0, abs=1e-5)
        assert nearest.label == support.class_names[support.labels[index]]
        assert len(prediction.nearest) == 3
        assert [item.similarity for item in prediction.nearest] == sorted(
            (item.similarity for item in prediction.nearest), reverse=True
        )


def test_neighbours_may_be_none_or_more_than_there_are() -> None:
    head = ZipAdapter(cache())
    assert head.predict(queries(), neighbours=0)[0].nearest == ()
    assert len(head.predict(queries(), neighbours=1000)[0].nearest) == 12


def test_no_queries_no_predictions() -> None:
    assert ZipAdapter(cache()).predict(np.empty((0, 3, 16), np.float32)) == []


def test_the_cache_sets_the_head() -> None:
    support = cache()
    other = SupportCache.from_embeddings(
        support.embeddings, support.labels, NAMES, head=HeadSettings(beta=5.0, aggregate="mean")
    )
    assert (ZipAdapter(other).beta, ZipAdapter(other).aggregate) == (5.0, "mean")
    assert (ZipAdapter(support).beta, ZipAdapter(support).aggregate) == (32.0, "uncertainty")


@pytest.mark.parametrize("beta", [0.0, -1.0, float("nan"), float("inf")])
def test_a_beta_that_is_no_sharpness_is_refused(beta: float) -> None:
    with pytest.raises(UsageError, match="beta"):
        ZipAdapter(cache(), beta=beta)


def test_an_unknown_aggregation_is_refused() -> None:
    with pytest.raises(UsageError, match="median"):
        ZipAdapter(cache(), aggregate="median")


@pytest.mark.parametrize("shape", [(5, 16), (5, 3, 15), (5, 0, 16), (16,)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="embeddings must be"):
        ZipAdapter(cache()).logits(np.ones(shape, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    query = queries()
    query[2, 1, 3] = value
    with pytest.raises(InputError, match="not finite"):
        ZipAdapter(cache()).predict(query)


def test_a_zero_embedding_is_refused() -> None:
    with pytest.raises(InputError, match="no direction"):
        ZipAdapter(cache()).predict(np.zeros((1, 3, 16), np.float32))
