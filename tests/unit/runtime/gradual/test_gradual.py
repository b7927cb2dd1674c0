"""Views group by group: what shares a batch never changes an answer, and batches stay full."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib.fitting.schedule_fitting import with_schedule
from mvrec_edge.runtime import (
    DefectClassifier,
    ImageRegions,
    Prediction,
    Region,
    SupportCache,
    ViewPlan,
    ViewUse,
    crop_views,
)
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.gradual import parse_risk, parse_views
from mvrec_edge.testing import FakeEngine

PLAN = ViewPlan.by_name("mo", size=16, resample="fast")
AUTO = ViewUse("auto", risk=0.05)


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def region(seed: int) -> Region:
    x, y = np.random.default_rng(seed).integers(0, 40, 2)
    return Region.from_box((x, y, x + 9, y + 7), (60, 80), source=str(seed))


def support(aggregate: str = "mean") -> SupportCache:
    engine = FakeEngine(image_size=16)
    embeddings = np.stack([engine.encode(crop_views(image(n), region(n), PLAN)) for n in range(12)])
    cache = SupportCache.from_embeddings(embeddings, np.arange(12) % 3, ["a", "b", "c"], view_plan=PLAN, encoder="fake")
    head = dataclasses.replace(cache.head, name="zip-c", beta=8.0, aggregate=aggregate)
    return with_schedule(dataclasses.replace(cache, head=head))


CACHES = {aggregate: support(aggregate) for aggregate in ("mean", "uncertainty")}


def answer(prediction: Prediction) -> tuple[object, ...]:
    """All of a prediction but the times."""
    return (
        prediction.region.source,
        prediction.label,
        tuple(prediction.probabilities.values()),
        prediction.nearest,
        prediction.views,
        prediction.stopped,
        prediction.change_risk,
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 29), max_size=5), max_size=6),
    st.integers(1, 40),
    st.sampled_from([AUTO, ViewUse("auto", risk=0.4), ViewUse(2), ViewUse(5), ViewUse("all", budget_ms=1e9)]),
    st.sampled_from(["mean", "uncertainty"]),
)
def test_order_batch_and_company_change_no_answer(
    groups: list[list[int]], batch: int, use: ViewUse, aggregate: str
) -> None:
    """Regions in any order and company, batches of any size, neighbours that stop early or late."""
    engine = FakeEngine(image_size=16, batch=batch)
    exhausted: list[int] = []

    def source() -> Iterator[ImageRegions[int]]:
        for key, seeds in enumerate(groups):
            yield ImageRegions(key, image(seeds[0] // 3 if seeds else 0), [region(seed) for seed in seeds])
        exhausted.append(len(engine.batches))

    classifier = DefectClassifier(engine, CACHES[aggregate], views=use)
    together = list(classifier.classify_many(source()))
    assert [item.key for item, _ in together] == list(range(len(groups)))
    single = DefectClassifier(FakeEngine(image_size=16), CACHES[aggregate], views=use)
    for (item, predictions), seeds in zip(together, groups, strict=True):
        want = [answer(single.classify(item.image, [region(seed)])[0]) for seed in seeds]
        assert [answer(prediction) for prediction in predictions] == want
    # While there are images to come, every batch is full.
    assert set(engine.batches[: exhausted[0]]) <= {batch}
    assert sum(engine.batches) == sum(prediction.views for _, predictions in together for prediction in predictions)


@pytest.mark.parametrize(("aggregate", "risk"), [("mean", 0.01), ("uncertainty", 1e-6)])
def test_what_is_said_about_a_stop_is_true(aggregate: str, risk: float) -> None:
    cache = CACHES[aggregate]
    schedule = cache.schedule
    assert schedule is not None
    totals = list(np.cumsum([len(group) for group in schedule.groups]))
    everything = DefectClassifier(FakeEngine(image_size=16), cache)
    use = ViewUse("auto", risk)
    auto = DefectClassifier(FakeEngine(image_size=16), cache, views=use)
    stops = set()
    for seed in range(30):
        (full,) = everything.classify(image(seed // 3), [region(seed)])
        (few,) = auto.classify(image(seed // 3), [region(seed)])
        assert (full.stopped, full.change_risk, full.views) == ("all", 0.0, PLAN.count)
        assert few.views in totals
        assert few.stopped == ("all" if few.views == PLAN.count else "settled")
        assert few.change_risk <= use.risk
        if few.stopped == "all":
            assert (few.label, few.change_risk) == (full.label, 0.0)
            np.testing.assert_allclose(list(few.probabilities.values()), list(full.probabilities.values()), atol=1e-6)
        record = few.to_record()
        assert (record["views"], record["stopped"]) == (few.views, few.stopped)
        stops.add(few.stopped)
    assert stops == {"all", "settled"}


@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_a_fixed_number_is_the_first_of_the_order(count: int) -> None:
    cache = CACHES["mean"]
    classifier = DefectClassifier(FakeEngine(image_size=16), cache, views=ViewUse(count))
    (prediction,) = classifier.classify(image(1), [region(3)])
    assert cache.schedule is not None
    views = sorted(cache.schedule.order[:count])
    embeddings = FakeEngine(image_size=16).encode(crop_views(image(1), region(3), PLAN))[views]
    want = classifier.head.predict(embeddings[None])[0]
    assert prediction.label == want.label
    np.testing.assert_array_equal(list(prediction.probabilities.values()), want.probabilities)
    assert (prediction.views, prediction.stopped) == (count, "all" if count == 9 else "fixed")
    assert (prediction.change_risk == 0.0) == (count == 9)


@pytest.mark.parametrize(("use", "views"), [("all", 1), ("auto", 1), (3, 1)])
def test_a_spent_budget_gives_the_answer_of_the_first_group(use: str | int, views: int) -> None:
    # No clock is so coarse that a view takes a nanosecond.
    classifier = DefectClassifier(
        FakeEngine(image_size=16), CACHES["mean"], views=ViewUse(use, risk=1e-6, budget_ms=1e-6)
    )
    (prediction,) = classifier.classify(image(1), [region(3)])
    assert (prediction.views, prediction.stopped) == (views, "budget")
    assert prediction.change_risk > 0
    assert prediction.to_record()["stopped"] == "budget"


def test_a_cache_without_a_schedule_has_the_centred_views_first_and_the_cautious_rule() -> None:
    old = dataclasses.replace(CACHES["mean"], schedule=None)
    classifier = DefectClassifier(FakeEngine(image_size=16), old, views=ViewUse("auto"))
    assert classifier.rule.schedule.groups[0] == PLAN.centred
    assert not classifier.rule.schedule.fitted
    assert "cautious default" in classifier.rule.schedule.describe()
    assert classifier.classify(image(1), [region(3)])[0].stopped in ("all", "settled")


def test_a_new_cache_holds_for_the_images_that_come_after() -> None:
    first = CACHES["mean"]
    second = with_schedule(dataclasses.replace(first, class_names=("x", "y", "z")))
    classifier = DefectClassifier(FakeEngine(image_size=16, batch=20), first, views=AUTO)

    def source() -> Iterator[ImageRegions[int]]:
        for key in range(6):
            if key == 3:
                classifier.reload(second)
            yield ImageRegions(key, image(key), [region(key)])

    seen = [set(predictions[0].probabilities) for _, predictions in classifier.classify_many(source())]
    assert seen == [{"a", "b", "c"}] * 3 + [{"x", "y", "z"}] * 3


def test_images_without_regions_come_out_in_order() -> None:
    classifier = DefectClassifier(FakeEngine(image_size=16), CACHES["mean"], views=AUTO)
    items = [ImageRegions(key, image(key), [region(key)] * (key % 2)) for key in range(5)]
    counts = [(item.key, len(predictions)) for item, predictions in classifier.classify_many(items)]
    assert counts == [(0, 0), (1, 1), (2, 0), (3, 1), (4, 0)]


@pytest.mark.parametrize("text", ["0", "10", "999999"])
def test_a_number_that_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="9 views"):
        DefectClassifier(FakeEngine(image_size=16), CACHES["mean"], views=ViewUse(parse_views(text)))


@pytest.mark.parametrize("text", ["", "some", "-1", "3.5", "٣", "ALL"])
def test_what_is_no_number_of_views_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a number of views"):
        ViewUse(parse_views(text))


@pytest.mark.parametrize(("text", "risk"), [("1%", 0.01), ("0.5%", 0.005), ("0.02", 0.02), ("50%", 0.5)])
def test_a_risk_is_read_with_and_without_percent(text: str, risk: float) -> None:
    assert ViewUse("auto", parse_risk(text)).risk == pytest.approx(risk)


@pytest.mark.parametrize("text", ["", "%", "one", "0", "51%", "nan", "-1%", "inf"])
def test_what_is_no_risk_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"probability|risk"):
        ViewUse("auto", parse_risk(text))


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan")])
def test_a_budget_of_nothing_is_refused(budget: float) -> None:
    with pytest.raises(UsageError, match="budget"):
        ViewUse("auto", budget_ms=budget)
