"""Leaving instances out all at once gives what the definition gives: a head on a cache that lacks the instance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib.fitting.head_fitting import fit_head
from mvrec_edge.calib.fitting.left_out_views import LeftOutViews, left_out_views
from mvrec_edge.calib.fitting.schedule_fitting import RECORD_RISK, Trial, fit_schedule, fit_spread_factors
from mvrec_edge.runtime import HeadSettings, SupportCache, ViewPlan
from mvrec_edge.runtime.heads import head_class, head_names
from mvrec_edge.runtime.heads.evidence import UnseenViews, change_probability
from mvrec_edge.runtime.support import left_out_whitening, whitening

UNTRAINED = [
    (name, aggregate)
    for name in head_names()
    if not head_class(name).trains
    for aggregate in head_class(name).aggregations
]
UNTRAINED_HEADS = pytest.mark.parametrize(("name", "aggregate"), UNTRAINED)


@pytest.fixture(autouse=True)
def _ridge_of_the_count_alone() -> Iterator[None]:
    """The ridge takes the centre of all, also where an image is left out, and the definition that of the rest."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (whitening, left_out_whitening):
            patch.setattr(module, "ridge", lambda _centre, count: 0.1 / count)
        yield


def cache(head: HeadSettings, shots: list[int], *, views: int = 9, noise: float = 1.0, seed: int = 0) -> SupportCache:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(shots)), shots))
    # A common component, as embeddings have it, and each view off in a way of its own.
    means = 2 + 2 * np.eye(16)[labels] + 0.3 * rng.standard_normal((len(labels), 16))
    embeddings = means[:, None] + 0.3 * rng.standard_normal((views, 16))
    embeddings = embeddings + noise * rng.standard_normal(embeddings.shape)
    plan = ViewPlan.by_name("mo") if views == 9 else ViewPlan.mso()
    names = [f"class {number}" for number in range(len(shots))]
    return SupportCache.from_embeddings(embeddings.astype(np.float32), labels, names, head=head, view_plan=plan)


def made_anew(support: SupportCache, groups: tuple[tuple[int, ...], ...], instance: int) -> LeftOutViews:
    """The definition."""
    groups_of = support.image_groups
    head = head_class(support.head.name)(support.subset(np.flatnonzero(groups_of != groups_of[instance])))
    unseen = UnseenViews(head)
    views = support.embeddings[instance].astype(np.float32)
    seen = [np.sort(np.concatenate([np.array(group) for group in groups[:stop]])) for stop in range(1, len(groups))]
    margins = tuple(unseen.margins(views[some], some) for some in seen)
    return LeftOutViews(margins, int(head.logits(views[None])[0].argmax()))


def assert_as_made_anew(support: SupportCache) -> None:
    groups = fit_schedule(support).groups
    instances = np.flatnonzero(support.can_be_left_out)
    # Whitened scores are of the order of 20, and sums of small corrections.
    tolerance = 1e-4 if support.head.name.startswith(("zip-c", "zip-f")) or support.head.name == "zip" else 2e-2
    at_once = list(left_out_views(support, groups, instances))
    assert len(at_once) == len(instances)
    for instance, found in zip(instances, at_once, strict=True):
        wanted = made_anew(support, groups, int(instance))
        assert found.label == wanted.label
        assert len(found.margins) == len(wanted.margins) == len(groups) - 1
        for here, there in zip(found.margins, wanted.margins, strict=True):
            assert (here.label, here.freedom) == (there.label, there.freedom)
            np.testing.assert_allclose(here.expected, there.expected, rtol=1e-3, atol=tolerance)
            np.testing.assert_allclose(here.spread, there.spread, rtol=1e-3, atol=tolerance)


@UNTRAINED_HEADS
@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=4).filter(lambda shots: sum(shots) > 3 and max(shots) > 1),
    st.sampled_from([1.0, 8.0]),
    st.floats(0.1, 3.0),
    st.integers(0, 99),
)
def test_all_at_once_is_the_definition(
    name: str, aggregate: str, shots: list[int], beta: float, noise: float, seed: int
) -> None:
    head = HeadSettings(name, beta=beta, aggregate=aggregate)
    assert_as_made_anew(cache(head, shots, noise=noise, seed=seed))


@UNTRAINED_HEADS
def test_the_others_of_an_image_are_left_out_as_the_definition_does(name: str, aggregate: str) -> None:
    support = cache(HeadSettings(name, beta=4.0, aggregate=aggregate), [5, 6, 7])
    # Several of a class on one image, several classes on one, and images with one instance.
    images = [f"image {place % 11}" for place in range(18)]
    assert_as_made_anew(support.changed(images=images))


@UNTRAINED_HEADS
def test_the_moves_of_a_large_support_are_thinned_as_the_definition_does(name: str, aggregate: str) -> None:
    assert_as_made_anew(cache(HeadSettings(name, beta=4.0, aggregate=aggregate), [19, 20, 21]))


def test_many_views() -> None:
    assert_as_made_anew(cache(HeadSettings("zip-c", beta=8.0, aggregate="uncertainty"), [5, 5, 5], views=27))


@UNTRAINED_HEADS
@pytest.mark.parametrize("noise", [0.5, 2.0, 4.0])
def test_the_rule_is_the_one_that_the_definition_gives(name: str, aggregate: str, noise: float) -> None:
    support = cache(HeadSettings(name, beta=8.0, aggregate=aggregate), [5, 6, 4], noise=noise)
    schedule = fit_schedule(support)
    trials = [made_anew(support, schedule.groups, instance) for instance in range(len(support.labels))]
    stops = [
        next((each for each in trial.margins if change_probability(each, schedule.spread_factors) <= RECORD_RISK), None)
        for trial in trials
    ]
    early = [(stop.label, trial.label) for trial, stop in zip(trials, stops, strict=True) if stop is not None]
    labels = support.labels.tolist()
    wanted = [
        Trial(label, (*(each.label for each in trial.margins), trial.label), trial.margins)
        for label, trial in zip(labels, trials, strict=True)
    ]
    assert schedule.spread_factors == fit_spread_factors(wanted)
    counts = (len(trials), len(early), sum(said != whole for said, whole in early))
    assert (schedule.left_out, schedule.stopped, schedule.differed) == counts


def test_a_head_that_is_no_shift_says_so() -> None:
    support = cache(HeadSettings("zip-c", beta=8.0, aggregate="mean"), [4, 4])
    tuned = fit_head(support, "zip-f").cache
    with pytest.raises(NotImplementedError, match="zip-f is no shift"):
        next(left_out_views(tuned, [[0], [1]], np.array([0])))
