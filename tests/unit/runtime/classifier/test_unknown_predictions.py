"""A classifier that says unknown, and one that notices drift."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.calib import fit_novelty
from mvrec_edge.runtime import (
    DefectClassifier,
    DriftWarning,
    ImageRegions,
    NoveltyScorer,
    Region,
    SupportCache,
    ViewPlan,
    crop_views,
)
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.gradual import ViewUse
from mvrec_edge.runtime.views.schedule import default_schedule
from mvrec_edge.testing import FakeEngine

PLAN = ViewPlan.by_name("ms", size=16, resample="fast")
REGION = Region.from_box((20, 10, 30, 22), (60, 80))


def image(kind: int, seed: int) -> np.ndarray:
    """Kinds differ in which corner is bright."""
    pixels = np.random.default_rng(seed).integers(0, 90, (60, 80, 3), dtype=np.uint8)
    top, left = ((0, 0), (0, 25), (16, 0), (16, 25))[kind]
    pixels[top : top + 16, left : left + 25] += 120
    return pixels


def cache(rate: float | None = 0.05, shots: int = 4) -> SupportCache:
    engine = FakeEngine(image_size=16)
    labels = np.repeat([0, 1], shots)
    images = [image(kind, 10 * kind + number) for kind in (0, 1) for number in range(shots)]
    embeddings = np.stack([engine.encode(crop_views(each, REGION, PLAN)) for each in images])
    made = SupportCache.from_embeddings(embeddings, labels, ("a", "b"), view_plan=PLAN, encoder="fake")
    return fit_novelty(made, rate)


def engine() -> FakeEngine:
    return FakeEngine(image_size=16)


def test_unknown_is_said_and_the_nearest_class_still_listed() -> None:
    classifier = DefectClassifier(engine(), cache())
    known, unknown = (classifier.classify(image(kind, 99), [REGION])[0] for kind in (0, 3))
    assert (known.label, known.nearest_class, known.unknown) == ("a", "a", False)
    assert unknown.label == "unknown"
    assert unknown.unknown is True
    assert unknown.nearest_class in ("a", "b")
    assert unknown.probability == unknown.probabilities[unknown.nearest_class]
    assert known.novelty is not None
    assert unknown.novelty is not None
    assert known.novelty < unknown.novelty
    record = unknown.to_record()
    assert record["label"] == "unknown"
    assert record["nearest_class"] == unknown.nearest_class
    assert record["novelty"] == round(unknown.novelty, 6)
    assert record["unknown"] is True


def test_without_a_rate_the_class_is_said() -> None:
    (prediction,) = DefectClassifier(engine(), cache(rate=None)).classify(image(3, 99), [REGION])
    assert prediction.label == prediction.nearest_class
    assert prediction.unknown is None
    assert prediction.novelty is not None
    (asked,) = DefectClassifier(engine(), cache(rate=None), reject_rate=0.05).classify(image(3, 99), [REGION])
    assert asked.label == "unknown"


def test_an_older_cache_classifies_and_cannot_serve_a_rate() -> None:
    older = cache().subset(range(8))
    (prediction,) = DefectClassifier(engine(), older, drift_window=10).classify(image(3, 99), [REGION])
    assert (prediction.novelty, prediction.unknown) == (None, None)
    with pytest.raises(UsageError, match="calibrate again"):
        DefectClassifier(engine(), older, reject_rate=0.05)


def test_a_reload_keeps_the_rate_and_takes_the_new_limits(tmp_path: Path) -> None:
    cache(rate=0.2).save(tmp_path / "a")
    classifier = DefectClassifier(engine(), tmp_path / "a", reject_rate=0.001)
    before = classifier.classify(image(0, 99), [REGION])[0].novelty
    cache(rate=0.2, shots=6).save(tmp_path / "a")
    classifier.reload()
    assert classifier.classify(image(0, 99), [REGION])[0].novelty != before
    cache().subset(range(8)).save(tmp_path / "a")
    with pytest.raises(UsageError, match="calibrate again"):
        classifier.reload()
    assert classifier.cache.counts == {"a": 6, "b": 6}


def test_a_changed_lamp_is_said_once() -> None:
    said: list[str] = []
    classifier = DefectClassifier(engine(), cache(), say=said.append, drift_window=10)
    same = [ImageRegions(None, image(number % 2, 100 + number), [REGION]) for number in range(30)]
    list(classifier.classify_many(same))
    assert said == []
    dark = [ImageRegions(None, 255 - image(number % 2, 100 + number), [REGION]) for number in range(30)]
    list(classifier.classify_many(dark))
    assert len(said) == 1
    assert said[0].startswith(
        "warning: the last 10 regions lie further from the support than calibration saw: the median is "
    )


def test_without_a_listener_drift_is_a_warning() -> None:
    classifier = DefectClassifier(engine(), cache(), drift_window=10)
    dark = [ImageRegions(None, 255 - image(0, number), [REGION]) for number in range(30)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(classifier.classify_many(dark))
    assert [warning.category for warning in caught] == [DriftWarning]


def test_a_window_of_another_size_is_refused() -> None:
    with pytest.raises(UsageError, match="10 to 100,000"):
        DefectClassifier(engine(), cache(), drift_window=3)


def test_fewer_views_are_judged_by_the_same_views_of_the_support() -> None:
    support = cache()
    one = DefectClassifier(engine(), support, views=ViewUse(1))
    both = DefectClassifier(engine(), support)
    for kind in range(4):
        (fewer,), (every,) = one.classify(image(kind, 99), [REGION]), both.classify(image(kind, 99), [REGION])
        view = default_schedule(PLAN).order[0]
        embedding = engine().encode(crop_views(image(kind, 99), REGION, PLAN))[None, [view]]
        (wanted,) = NoveltyScorer(support).score(embedding, [view])
        assert (fewer.views, fewer.novelty, fewer.unknown) == (1, pytest.approx(wanted.score, abs=1e-5), wanted.unknown)
        assert fewer.novelty != every.novelty
