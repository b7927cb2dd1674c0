"""Folds for the temperature of a head that trains: every class stays, images stay together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib import FineTuning, fit_head
from mvrec_edge.calib.fitting.cross_fitting import cross_fit_temperature, folds_of
from mvrec_edge.runtime import SupportCache
from mvrec_edge.runtime.errors import UsageError


def cache(labels: list[int], images: list[str] | None = None, noise: float = 1.0) -> SupportCache:
    rng = np.random.default_rng(0)
    rows = 2 * np.eye(12)[labels] + noise * rng.standard_normal((len(labels), 12))
    embeddings = rows[:, None] + 0.2 * rng.standard_normal((len(labels), 3, 12))
    names = [f"c{label}" for label in range(max(labels) + 1)]
    return SupportCache.from_embeddings(embeddings, labels, names, images=images or ())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=3, max_size=16),
    st.integers(2, 5),
)
def test_folds_keep_every_class_and_whole_images(pairs: list[tuple[int, int]], count: int) -> None:
    labels = [0, 1, 2, *(label for label, _ in pairs)]
    images = ["a", "b", "c", *(str(image) for _, image in pairs)]
    support = cache(labels, images)
    groups = support.image_groups
    folds = folds_of(support, count)
    assert len(folds) <= count
    seen = np.concatenate([np.empty(0, np.intp), *folds])
    assert len(np.unique(seen)) == len(seen)
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(labels)), fold)
        assert set(support.labels[rest]) == {0, 1, 2}
        assert not set(groups[fold]) & set(groups[rest])


def test_every_instance_is_left_out_where_images_suffice() -> None:
    folds = folds_of(cache([0, 0, 0, 1, 1, 1]), 3)
    assert sorted(np.concatenate(folds).tolist()) == list(range(6))
    assert [len(fold) for fold in folds] == [2, 2, 2]


def test_one_shot_has_no_folds_and_no_temperature() -> None:
    support = cache([0, 1])
    assert folds_of(support, 3) == []
    fit = fit_head(support, "zip-f", tuning=FineTuning(steps=2))
    assert fit.temperature is None
    assert fit.cache.head.temperature == 1.0


def test_the_temperature_is_that_of_images_not_seen() -> None:
    support = cache([0] * 6 + [1] * 6, noise=2.0)
    tuning = FineTuning(steps=30, rate=1e-2)
    steps: list[int] = []
    fit = fit_head(support, "zip-f", tuning=tuning, on_step=lambda step, _: steps.append(step))
    assert steps == [*range(1, 31)] * 4
    assert fit.temperature is not None
    assert fit.temperature.instances == 12
    assert fit.cache.head.temperature == fit.temperature.head.temperature != 1.0
    again = cross_fit_temperature(fit.cache, tuning)
    assert again is not None
    assert again.head == fit.cache.head
    untouched = fit_head(support, "zip-f", tuning=dataclasses.replace(tuning, folds=0)).cache
    assert untouched.head.temperature == 1.0
    assert untouched.adapter is not None
    assert fit.cache.adapter is not None
    np.testing.assert_array_equal(untouched.adapter.weight, fit.cache.adapter.weight)


@pytest.mark.parametrize("folds", [-1, 1, 101, 2.5])
def test_folds_that_make_no_sense_are_refused(folds: int) -> None:
    with pytest.raises(UsageError, match="folds"):
        FineTuning(folds=folds)
