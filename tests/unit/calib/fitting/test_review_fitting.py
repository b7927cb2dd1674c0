"""Limits for review, fitted to a support: which classes have their own, what is said, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mvrec_edge.calib.fitting.binomial_bound import trials_needed
from mvrec_edge.calib.fitting.review_fitting import (
    LeftOutAnswers,
    describe_review,
    fit_review,
    left_out_answers,
    review_limits,
)
from mvrec_edge.calib.fitting.schedule_fitting import with_schedule
from mvrec_edge.runtime import HeadSettings, SupportCache
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads import open_head


def support(*counts: int, spread: float = 0.02, images: list[str] | None = None) -> SupportCache:
    """Classes that lie apart, with a head and temperature."""
    labels = np.repeat(np.arange(len(counts)), counts)
    noise = np.random.default_rng(0).standard_normal((len(labels), 2, 8))
    embeddings = (3 + np.eye(8)[labels][:, None] + spread * noise).astype(np.float32)
    return SupportCache.from_embeddings(
        embeddings,
        labels,
        [f"class {place}" for place in range(len(counts))],
        images=images or (),
        head=HeadSettings("zip-c", 8.0, "mean", 0.7),
    )


def answers(said: np.ndarray, right: np.ndarray, probabilities: np.ndarray | None = None) -> LeftOutAnswers:
    stated = np.linspace(0.99, 0.5, len(said), dtype=np.float32) if probabilities is None else probabilities
    return LeftOutAnswers(stated, said, np.where(right, said, said + 1), np.arange(len(said)))


def test_left_out_answers_are_those_of_a_cache_made_anew() -> None:
    cache = support(4, 3, 1, images=["a", "a", "b", "c", "d", "e", "f", "g"])
    found = left_out_answers(cache)
    assert len(found.said) == 7
    np.testing.assert_array_equal(found.images, [0, 0, 1, 2, 3, 4, 5])
    for place in range(7):
        rest = np.flatnonzero(cache.image_groups != cache.image_groups[place])
        wanted = open_head(cache.subset(rest)).probabilities(cache.embeddings[[place]].astype(np.float32))[0]
        assert found.probabilities[place] == pytest.approx(wanted.max(), abs=1e-5)
        assert found.said[place] == wanted.argmax()


def test_enough_examples_have_one_limit_for_all_classes() -> None:
    fitted = fit_review(support(12, 12), 0.9)
    review = fitted.review
    assert review is not None
    assert review.limits[0] == review.limits[1] is not None
    assert review.own == (False, False)
    assert (review.instances, review.independent, review.to_review) == (24, 24, 0)
    assert (review.right_at_least, review.confidence) == (0.9, 0.9)
    which, share = describe_review(fitted)
    assert which.startswith(
        f"a region whose probability is below {review.limits[0]:.3f} goes to a human; of all others "
    )
    assert "at least 90% are right, with 90% confidence" in which
    assert share == "of the examples 0 of 24 would go to a human (0.0%)"


def test_too_few_examples_send_everything_to_a_human_and_say_how_many_are_missing() -> None:
    fitted = fit_review(support(13, 12), 0.95)
    assert fitted.review is not None
    assert fitted.review.all_to_review
    assert fitted.review.to_review == 25
    assert describe_review(fitted) == [
        "every region goes to a human: 25 examples can promise at most 91.2% right, and 95% takes 45 that are all read "
        "rightly; 20 more examples are needed"
    ]
    nothing = fit_review(support(1, 1), 0.95)
    assert describe_review(nothing) == [
        "every region goes to a human: every class has a single instance, so none can be left out to try it"
    ]
    assert describe_review(support(2, 2)) == ["nothing goes to a human: calibrate with --right-at-least for a limit"]


def test_with_too_few_examples_those_read_wrongly_are_named_before_more_are_asked_for() -> None:
    cache = support(13, 12)
    wrong = dataclasses.replace(cache, labels=np.where(np.arange(25) == 3, 1, cache.labels))
    (line,) = describe_review(fit_review(wrong, 0.95))
    assert line.endswith(
        "95% takes 45 that are all read rightly; 1 of 25 is read wrongly, so more examples alone may not do: "
        "'mvrec-edge support list CACHE --check' shows which"
    )
    assert "needed" not in line


def test_a_wrong_label_among_the_surest_is_said_to_be_the_reason() -> None:
    said = np.tile([0, 1], 20)
    review = review_limits(answers(said, np.arange(40) != 3), 2, 0.9)
    (line,) = describe_review(dataclasses.replace(support(20, 20), review=review))
    assert line.startswith("every region goes to a human: some of the examples that are read with the highest ")
    assert "support list CACHE --check" in line


def test_examples_on_few_images_count_less() -> None:
    images = [f"image {place // 4}" for place in range(48)]
    fitted = fit_review(support(24, 24, images=images), 0.9)
    assert fitted.review is not None
    assert (fitted.review.instances, fitted.review.independent) == (48, 12)
    counting, why = describe_review(fitted)
    assert "12 examples can promise at most 82.5% right, and 90% takes 22" in why
    assert counting == "the 48 examples count as 12, since several lie on one image and are no independent trials"


def test_a_class_that_cannot_be_tried_is_named() -> None:
    assert describe_review(fit_review(support(12, 12, 1), 0.9))[-1] == (
        "the class 'class 2' has a single instance, so nothing is known of its defects"
    )


def test_a_cache_that_is_used_with_fewer_views_says_so() -> None:
    cache = with_schedule(support(12, 12))
    assert cache.schedule is not None
    for use, said in (("all", False), (2, False), (1, True), ("auto", True)):
        used = dataclasses.replace(cache, schedule=dataclasses.replace(cache.schedule, use=use))
        words = f"the limit was tried with all 2 views, and with --views {use} less may be right"
        assert (words in describe_review(fit_review(used, 0.9))) is said


def test_classes_with_many_answers_have_limits_of_their_own() -> None:
    enough = trials_needed(0.9, 1 - 0.1 / 2, 1)
    said = np.repeat([0, 1, 2], [enough, enough - 5, 5])
    review = review_limits(answers(said, np.ones(len(said), np.bool_)), 4, 0.9)
    assert review.own == (True, False, False, False)
    assert review.limits[1] == review.limits[2] is not None
    # A class that is never said among the examples was not tried, so a human looks at it.
    assert review.limits[3] is None
    # One more class of its own takes more confidence of each.
    both = np.repeat([0, 1], [enough, enough])
    assert review_limits(answers(both, np.ones(len(both), np.bool_)), 2, 0.9).own == (True, True)
    assert review_limits(answers(both[:-1], np.ones(len(both) - 1, np.bool_)), 2, 0.9).own == (False, False)


def test_a_class_that_is_often_wrong_goes_to_a_human_and_the_others_do_not() -> None:
    said = np.tile([0, 1], 100)
    review = review_limits(answers(said, (said == 0) | (np.arange(200) % 3 == 0)), 2, 0.9)
    assert review.own == (True, True)
    assert review.limits == (pytest.approx(0.99 - 0.49 * 198 / 199), None)
    assert review.to_review == 100
    words = describe_review(dataclasses.replace(support(2, 2), review=review))
    assert words[0].startswith("a region called class 0 below 0.502, class 1 with any probability goes to a human")


def test_a_class_that_no_example_is_called_is_always_looked_at_where_all_others_have_limits() -> None:
    said = np.tile([0, 1], 100)
    review = review_limits(answers(said, np.ones(200, np.bool_)), 3, 0.9)
    assert review.limits[2] is None
    assert review.wants_review(2, 1.0)


def test_the_order_of_the_examples_plays_no_part() -> None:
    generator = np.random.default_rng(0)
    said, stated = generator.integers(0, 3, 300), generator.random(300).astype(np.float32).round(2)
    found = answers(said, generator.random(300) < 0.97, stated)
    order = generator.permutation(300)
    shuffled = LeftOutAnswers(*(getattr(found, each.name)[order] for each in dataclasses.fields(found)))
    assert review_limits(found, 3, 0.9) == review_limits(shuffled, 3, 0.9)


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match=r"from 50% to 99\.99%, not 100%"):
        fit_review(support(2, 2), 1.0)
    cache = dataclasses.replace(support(2, 2), head=HeadSettings("zip-f"))
    with pytest.raises(UsageError, match="zip-f has learned from all"):
        fit_review(cache, 0.9)
