"""The classifier: the right cache, the right order, honest about random weights."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from mvrec_edge.runtime import (
    DefectClassifier,
    ImageRegions,
    RandomWeightsWarning,
    Region,
    SupportCache,
    ViewPlan,
    ZipAdapter,
    crop_views,
)
from mvrec_edge.runtime.errors import FingerprintMismatchError, UsageError
from mvrec_edge.testing import FakeEngine

PLAN = ViewPlan.by_name("ms", size=16, resample="fast")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (4, 60, 80, 3), dtype=np.uint8)
REGIONS = [Region.from_box((20 + 3 * n, 10, 30 + 3 * n, 22), (60, 80), source=f"r{n}") for n in range(3)]


def cache(**changes: object) -> SupportCache:
    engine = FakeEngine(image_size=16)
    embeddings = np.stack([engine.encode(crop_views(image, REGIONS[0], PLAN)) for image in IMAGES])
    arguments: dict[str, object] = {"view_plan": PLAN, "encoder": "fake"}
    arguments.update(changes)
    return SupportCache.from_embeddings(embeddings, [0, 0, 1, 1], ["a", "b"], **arguments)  # type: ignore[arg-type]


def test_classifies_what_it_knows() -> None:
    classifier = DefectClassifier(FakeEngine(image_size=16), cache())
    for image, label in zip(IMAGES, "aabb", strict=True):
        (prediction,) = classifier.classify(image, REGIONS[:1])
        assert prediction.label == label
        assert prediction.probability == max(prediction.probabilities.values())
        assert sum(prediction.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
        assert prediction.nearest[0].similarity == pytest.approx(1.0, abs=1e-3)
        assert prediction.views == PLAN.count
        assert prediction.milliseconds.total > 0


def test_many_images_give_what_each_gives_alone() -> None:
    classifier = DefectClassifier(FakeEngine(image_size=16, batch=7), cache())
    together = list(classifier.classify_many(ImageRegions(n, IMAGES[n], REGIONS) for n in range(4)))
    assert [item.key for item, _ in together] == [0, 1, 2, 3]
    for item, predictions in together:
        alone = classifier.classify(item.image, item.regions)
        assert [p.region.source for p in predictions] == ["r0", "r1", "r2"]
        assert [p.probabilities for p in alone] == [p.probabilities for p in predictions]


def test_no_regions_no_predictions() -> None:
    assert DefectClassifier(FakeEngine(image_size=16), cache()).classify(IMAGES[0], []) == []


def test_a_record_is_plain_json() -> None:
    import json

    (prediction,) = DefectClassifier(FakeEngine(image_size=16), cache()).classify(IMAGES[0], REGIONS[:1])
    record = json.loads(json.dumps(prediction.to_record(), allow_nan=False))
    assert record["label"] == "a"
    assert record["box"] == [20, 10, 30, 22]
    assert record["area"] == 11 * 13
    assert set(record["probabilities"]) == {"a", "b"}
    assert record["annotated"] is None
    assert set(record["ms"]) == {"crop", "encode", "classify"}


def test_a_cache_of_another_bundle_is_refused() -> None:
    with pytest.raises(FingerprintMismatchError, match="another bundle"):
        DefectClassifier(FakeEngine(image_size=16), cache(encoder="other"))


def test_a_cache_without_a_plan_is_refused() -> None:
    with pytest.raises(UsageError, match="no view plan"):
        DefectClassifier(FakeEngine(image_size=16), cache(view_plan=None))


def test_a_plan_of_another_size_is_refused() -> None:
    with pytest.raises(UsageError, match="16 pixels wide, the encoder takes 24"):
        DefectClassifier(FakeEngine(image_size=24), cache())


def test_random_weights_are_announced() -> None:
    engine = FakeEngine(image_size=16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DefectClassifier(engine, cache())
    engine.random_weights = True
    with pytest.warns(RandomWeightsWarning, match="random weights"):
        DefectClassifier(engine, cache())


def test_a_head_of_ones_own_is_used() -> None:
    support = cache()
    soft = DefectClassifier(FakeEngine(image_size=16), support, head=ZipAdapter(support, beta=0.01))
    hard = DefectClassifier(FakeEngine(image_size=16), support, neighbours=0)
    assert soft.classify(IMAGES[0], REGIONS)[1].probability < hard.classify(IMAGES[0], REGIONS)[1].probability
    assert hard.classify(IMAGES[0], REGIONS)[0].nearest == ()
