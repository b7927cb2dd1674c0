"""A classifier that says which regions a human looks at."""

from __future__ import annotations

import dataclasses
import warnings

import pytest

from mvrec_edge.runtime import DefectClassifier, HeadSettings, Prediction, SupportCache, open_head
from mvrec_edge.runtime.classifier import ReviewWarning
from mvrec_edge.runtime.gradual import ViewUse
from mvrec_edge.runtime.support.review_limits import ReviewLimits
from tests.unit.runtime.classifier.test_unknown_predictions import REGION, cache, engine, image


def limited(*limits: float | None, rate: float | None = None) -> SupportCache:
    # With this temperature no probability is 1.
    head = HeadSettings(temperature=10.0)
    review = ReviewLimits(0.95, 0.9, limits, (False, False), 60, 60, 3)
    return dataclasses.replace(cache(rate), head=head, review=review)


def classified(support: SupportCache, kind: int = 0, **more: object) -> Prediction:
    return DefectClassifier(engine(), support, **more).classify(image(kind, 99), [REGION])[0]  # type: ignore[arg-type]


def test_a_region_below_the_limit_of_its_class_is_looked_at() -> None:
    prediction = classified(cache())
    assert prediction.label == "a"
    assert prediction.review is None
    assert "review" not in prediction.to_record()
    reached = classified(limited(None, None)).probability
    assert reached < 1
    for limits, wanted in (
        ((reached, None), False),
        ((reached + 1e-6, 0.0), True),
        ((None, 0.0), True),
        ((0.0, None), False),
    ):
        found = classified(limited(*limits))
        assert found.review is wanted
        assert found.to_record()["review"] is wanted
        assert found.label == "a"
        assert list(found.to_record())[:9].index("review") == 8


def test_an_unknown_region_is_looked_at_whatever_its_probability() -> None:
    prediction = classified(limited(0.0, 0.0, rate=0.05), kind=3)
    assert (prediction.unknown, prediction.review) == (True, True)


def test_the_limits_are_of_the_head_of_the_cache() -> None:
    support = limited(None, None)
    assert classified(support, head=open_head(support)).review is None


@pytest.mark.parametrize("views", [ViewUse(1), ViewUse("auto"), ViewUse(budget_ms=5.0)])
def test_fewer_views_than_the_limit_was_tried_with_are_warned_of(views: ViewUse) -> None:
    said: list[str] = []
    classifier = DefectClassifier(engine(), limited(0.5, 0.5), views=views, say=said.append)
    assert said == [
        "warning: the limit for review was tried with all 3 views of a defect; with fewer, less may be right than the "
        "95% that it promises"
    ]
    classifier.reload(limited(0.6, 0.6))
    assert len(said) == 2
    with pytest.warns(ReviewWarning, match="all 3 views"):
        DefectClassifier(engine(), limited(0.5, 0.5), views=views)


@pytest.mark.parametrize("views", [ViewUse(), ViewUse(3)])
def test_all_views_are_not(views: ViewUse) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DefectClassifier(engine(), limited(0.5, 0.5), views=views)
        DefectClassifier(engine(), cache(), views=ViewUse(1))


def test_a_centre_that_follows_the_line_is_not_the_one_that_the_limit_was_tried_about() -> None:
    support = limited(0.5, 0.5)
    three = support.subset([*range(len(support.labels)), *range(len(support.labels))] * 2)
    said: list[str] = []
    moving = dataclasses.replace(three, head=HeadSettings("zip-w", 20.0, "mean", 4.0), review=support.review)
    DefectClassifier(engine(), moving, recentre=True, say=said.append)
    assert said == [
        "warning: the limit for review was tried about the support's centre; about one that follows the line "
        "(--recentre), less may be right than the 95% that it promises"
    ]
    with pytest.warns(ReviewWarning, match="follows the line"):
        DefectClassifier(engine(), moving, recentre=True)
    DefectClassifier(engine(), dataclasses.replace(moving, review=None), recentre=True, say=said.append)
    assert len(said) == 1
