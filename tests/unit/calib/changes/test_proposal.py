"""The comparison before a change is written: by hand, and what counts as a regression."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mvrec_edge.calib import CalibrateSettings, FineTuning, fit_head, fit_support
from mvrec_edge.calib.changes import (
    add_instances,
    merge_classes,
    propose,
    read_left_out,
    refit,
    remove_instances,
    rename_class,
)
from mvrec_edge.calib.fitting.novelty_fitting import fit_novelty
from mvrec_edge.calib.fitting.review_fitting import fit_review
from mvrec_edge.calib.fitting.schedule_fitting import left_out, with_schedule
from mvrec_edge.calib.fitting.selection import fit_head_temperature
from mvrec_edge.calib.instances.encoding import EncodedInstances
from mvrec_edge.runtime import HeadSettings, SupportCache
from mvrec_edge.runtime.errors import RegressionError


def plane(angles: list[float], labels: list[int], names: tuple[str, ...] = ("a", "b")) -> SupportCache:
    """Instances of one view, by their angle in degrees: the nearest in angle is the nearest by cosine."""
    return SupportCache.from_embeddings(
        _points(angles), labels, names, head=HeadSettings("zip", beta=32.0, aggregate="mean")
    )


def _points(angles: list[float]) -> np.ndarray:
    radians = np.deg2rad(np.asarray(angles, np.float64))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)[:, None].astype(np.float32)


def more(angles: list[float], labels: list[str]) -> EncodedInstances:
    sources = tuple(f"new{n}" for n in range(len(labels)))
    return EncodedInstances(_points(angles).astype(np.float16), tuple(labels), sources)


BEFORE = plane([0, 3, 6, 80, 85, 90], [0, 0, 0, 1, 1, 1])


def test_a_good_instance_is_no_regression() -> None:
    proposal = propose(BEFORE, add_instances(BEFORE, more([2], ["a"])))
    comparison = proposal.comparison
    assert not comparison.is_regression
    assert (comparison.before, comparison.after) == ({"a": (3, 3), "b": (3, 3)}, {"a": (4, 4), "b": (3, 3)})
    assert comparison.newly_misread == comparison.newly_right == comparison.new_misread == ()
    proposal.check()
    assert proposal.cache.head.temperature == fit_head_temperature(proposal.cache, BEFORE.head).head.temperature  # type: ignore[union-attr]


def test_wrong_labels_are_a_regression_and_named() -> None:
    """Two of class b beside each of class a, nearer than the others of class a."""
    before = plane([0, 20, 40, 80, 85, 90], [0, 0, 0, 1, 1, 1])
    proposal = propose(before, add_instances(before, more([1, 2, 19, 21, 39, 41], ["b"] * 6)))
    comparison = proposal.comparison
    assert [(reading.instance, reading.read_as) for reading in comparison.newly_misread] == [
        (0, "b"),
        (1, "b"),
        (2, "b"),
    ]
    assert comparison.is_regression
    with pytest.raises(RegressionError, match=r"3 support .* \(check the labels of what was changed\)") as caught:
        proposal.check()
    assert caught.value.exit_code == 7
    assert proposal.to_dict()["newly_misread"][0] == {"instance": 0, "source": "0", "label": "a", "read_as": "b"}


def test_a_new_instance_that_the_others_misread_is_named_but_no_regression() -> None:
    """It may be just what they lacked."""
    comparison = propose(BEFORE, add_instances(BEFORE, more([60], ["a"]))).comparison
    assert [(reading.instance, reading.source, reading.read_as) for reading in comparison.new_misread] == [
        (6, "new0", "b")
    ]
    assert not comparison.is_regression


def test_taking_a_wrong_one_out_makes_others_right() -> None:
    before = plane([0, 25, 88, 86, 90, 12], [0, 0, 1, 1, 1, 1])
    changed = remove_instances(before, [5])
    comparison = propose(before, changed).comparison
    assert {reading.instance for reading in comparison.newly_right} == {0, 1}
    assert not comparison.is_regression


def test_taking_a_needed_one_out_is_a_regression() -> None:
    before = plane([0, 30, 45, 80, 90], [0, 0, 0, 1, 1])
    comparison = propose(before, remove_instances(before, [1])).comparison
    assert [(reading.source, reading.read_as) for reading in comparison.newly_misread] == [("2", "b")]
    assert comparison.newly_misread[0].instance == 1


def test_an_instance_that_cannot_be_left_out_counts_nowhere() -> None:
    before = plane([0, 90], [0, 1])
    assert read_left_out(before) == [None, None]
    comparison = propose(before, add_instances(before, more([91], ["a"]))).comparison
    assert comparison.before == {"a": (0, 0), "b": (0, 0)}
    # The old instance of a is read as b now, but nobody knows what it was read as before.
    assert comparison.after == {"a": (0, 2), "b": (0, 0)}
    assert not comparison.is_regression
    assert [reading.instance for reading in comparison.new_misread] == [2]


def test_classes_made_one_are_judged_by_the_new_name() -> None:
    before = plane([0, 2, 1, 3, 90, 88], [0, 0, 1, 1, 2, 2], ("a", "b", "c"))
    comparison = propose(before, merge_classes(before, ["a", "b"], "ab")).comparison
    assert comparison.after == {"ab": (4, 4), "c": (2, 2)}
    assert comparison.newly_misread == ()


def test_nothing_is_fitted_where_only_names_change() -> None:
    proposal = propose(BEFORE, rename_class(BEFORE, "a", "x"))
    assert proposal.notes == ()
    assert proposal.cache.head == BEFORE.head
    assert not proposal.comparison.is_regression


def test_head_and_settings_stay_unless_chosen_anew() -> None:
    changed = add_instances(BEFORE, more([2, 87], ["a", "b"]))
    kept = propose(BEFORE, changed).cache.head
    assert dataclasses.replace(kept, temperature=1.0) == BEFORE.head
    anew = propose(BEFORE, changed, anew=True)
    assert anew.cache.head == fit_head(changed.cache, "auto").cache.head
    assert any(note.startswith("head: ") for note in anew.notes)


def test_a_trained_head_is_compared_and_trained_again_when_asked() -> None:
    before = fit_head(BEFORE, "zip-f", tuning=FineTuning(steps=5)).cache
    changed = add_instances(before, more([2], ["a"]))
    kept = propose(before, changed)
    assert kept.cache.adapter is not None
    assert before.adapter is not None
    np.testing.assert_array_equal(kept.cache.adapter.weight, before.adapter.weight)
    assert "the head's W and b stay; --refit trains them again" in kept.notes
    assert sum(of for _, of in kept.comparison.after.values()) == 7
    anew = refit(changed.cache, before, anew=True)
    assert anew.notes == ("trained zip-f again",)
    assert anew.cache.adapter is not None
    assert not np.array_equal(anew.cache.adapter.weight, before.adapter.weight)
    assert anew.cache.head.name == "zip-f"


def test_a_change_fits_again_whatever_calibration_fits() -> None:
    """A cache changed, chosen anew, is the cache that calibration would have made of the instances left."""
    settings = CalibrateSettings(reject_rate=0.1, right_at_least=0.6)
    before = fit_support(BEFORE, settings)
    changed = remove_instances(before, [1]).cache
    unfitted = SupportCache.from_embeddings(changed.embeddings, changed.labels, changed.class_names)
    wanted = fit_support(unfitted, settings)
    anew = refit(changed, before, anew=True).cache
    assert dataclasses.replace(anew, sources=wanted.sources).to_bytes() == wanted.to_bytes()


def test_the_distances_of_known_defects_are_measured_again() -> None:
    before = fit_novelty(BEFORE, 0.1)
    added = propose(before, add_instances(before, more([2], ["a"]))).cache
    assert added.novelty is not None
    assert added.novelty.reject_rate == 0.1
    np.testing.assert_array_equal(added.novelty.left_out, fit_novelty(added).novelty.left_out)  # type: ignore[union-attr]
    back = propose(added, remove_instances(added, [6])).cache
    np.testing.assert_array_equal(back.novelty.left_out, before.novelty.left_out)  # type: ignore[union-attr]
    assert propose(before, rename_class(before, "a", "x")).cache.novelty is before.novelty
    merged = plane([0, 2, 1, 3, 90, 88], [0, 0, 1, 1, 2, 2], ("a", "b", "c"))
    assert propose(merged, merge_classes(merged, ["a", "b"], "ab")).cache.novelty is None


def test_a_support_may_shrink_to_what_can_call_nothing_unknown() -> None:
    before = fit_novelty(BEFORE, 0.1)
    refitted = refit(remove_instances(before, [1, 2, 4, 5]).cache, before)
    assert refitted.cache.novelty is not None
    assert refitted.cache.novelty.reject_rate is None
    assert "nothing can be called unknown any more: every class has a single instance" in refitted.notes


def test_the_limit_for_review_is_fitted_again_to_what_was_promised() -> None:
    """At 60%, five examples that are right suffice."""
    before = fit_review(BEFORE, 0.6)
    assert before.review is not None
    assert not before.review.all_to_review
    proposal = propose(before, add_instances(before, more([2], ["a"])))
    review = proposal.cache.review
    assert review is not None
    assert (review.right_at_least, review.instances) == (0.6, 7)
    assert review == fit_review(proposal.cache, 0.6).review
    assert any(note.startswith("review: a region whose probability is below ") for note in proposal.notes)
    assert propose(before, rename_class(before, "a", "x")).cache.review is before.review
    merged = plane([0, 2, 1, 3, 90, 88], [0, 0, 1, 1, 2, 2], ("a", "b", "c"))
    assert propose(merged, merge_classes(merged, ["a", "b"], "ab")).cache.review is None
    joined = propose(fit_review(merged, 0.6), merge_classes(fit_review(merged, 0.6), ["a", "b"], "ab")).cache
    assert joined.review is not None
    assert len(joined.review.limits) == 2


def test_a_support_may_shrink_to_what_can_promise_nothing_any_more() -> None:
    before = fit_review(BEFORE, 0.6)
    refitted = refit(remove_instances(before, [0, 5]).cache, before)
    assert refitted.cache.review is not None
    assert refitted.cache.review.all_to_review
    (note,) = [note for note in refitted.notes if "review" in note]
    assert note == (
        "60% right can no longer be promised; review: every region goes to a human: 4 examples can promise at most "
        "56.2% right, and 60% takes 5 that are all read rightly; 1 more example is needed"
    )


def test_progress_covers_the_view_schedule_and_the_comparison() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 2
    embeddings = (np.eye(4)[labels][:, None] + 0.5 * rng.standard_normal((12, 6, 4))).astype(np.float32)
    head = HeadSettings("zip-c", beta=8.0, aggregate="mean")
    before = with_schedule(SupportCache.from_embeddings(embeddings, labels, ["a", "b"], head=head))
    changed = remove_instances(before, [3])
    steps: list[int] = []
    propose(before, changed, progress=steps.append)
    assert sum(steps) == len(left_out(changed.cache)) + 12 + 11
