"""Replayed decisions are those of the classifier, and are counted rightly."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mvrec_edge.calib import EvaluationSet, Protocol
from mvrec_edge.calib.evaluation.views import evaluate_views, replay
from mvrec_edge.calib.fitting.schedule_fitting import with_schedule
from mvrec_edge.runtime import DefectClassifier, HeadSettings, Region, SupportCache, ViewPlan, ViewUse, crop_views
from mvrec_edge.runtime.errors import SupportError, UsageError
from mvrec_edge.testing import FakeEngine

PLAN = ViewPlan.by_name("mo", size=16, resample="fast")


def data(noise: float = 1.0) -> EvaluationSet:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 8)
    means = 3 * np.eye(24)[labels] + 0.3 * rng.standard_normal((len(labels), 24))
    embeddings = means[:, None] + noise * rng.standard_normal((len(labels), 27, 24))
    return EvaluationSet(("a", "b", "c"), embeddings.astype(np.float16), labels)


@pytest.mark.parametrize("use", [ViewUse("auto", risk=0.02), ViewUse(4), ViewUse("all")])
def test_a_replay_is_what_the_classifier_does(use: ViewUse) -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (24, 60, 80, 3), dtype=np.uint8)
    region = Region.from_box((20, 10, 40, 28), (60, 80))
    engine = FakeEngine(image_size=16)
    embeddings = np.stack([engine.encode(crop_views(image, region, PLAN)) for image in images])
    cache = SupportCache.from_embeddings(
        embeddings[:12], np.arange(12) % 3, ["a", "b", "c"], view_plan=PLAN, encoder="fake"
    )
    cache = with_schedule(dataclasses.replace(cache, head=HeadSettings("zip-c", beta=8.0, aggregate="mean")))
    classifier = DefectClassifier(engine, cache, views=use)
    for image, views in zip(images[12:], embeddings[12:], strict=True):
        (prediction,) = classifier.classify(image, [region])
        label, count, risk = replay(classifier.rule, views)
        assert (cache.class_names[label], count) == (prediction.label, prediction.views)
        assert risk == pytest.approx(prediction.change_risk, abs=1e-9)


def test_all_views_differ_from_nothing_and_few_are_counted() -> None:
    protocol = Protocol(shots=(4,), draws=2, heads=("zip-c",))
    seen: list[int] = []
    (everything,) = evaluate_views(data(), protocol, ViewUse("all"), progress=seen.append)
    assert seen == [1, 1]
    assert (everything.differing, everything.early, everything.promised) == (0, 0, 0.0)
    assert everything.accuracies == everything.all_views
    assert everything.decisions == 2 * 12
    (three,) = evaluate_views(data(noise=8.0), protocol, ViewUse(3))
    assert (set(three.views), three.early, three.fitted) == ({3.0}, 24, 2)
    assert 0 < three.differing < 24
    assert 0 < three.promised < 24
    record = three.to_dict()
    assert (record["views"], record["decisions"]) == (3.0, 24)
    assert record["differing_share"] == pytest.approx(three.differing / 24, abs=1e-6)


def test_what_cannot_be_replayed_is_refused() -> None:
    with pytest.raises(UsageError, match="computed earlier, so their time is not known"):
        evaluate_views(data(), Protocol(shots=(2,)), ViewUse("auto", budget_ms=5))
    with pytest.raises(SupportError, match="fewer than 9 shots"):
        evaluate_views(data(), Protocol(shots=(9,)), ViewUse("auto"))
