"""Choosing a head, temperature and calibration error, by leaving instances out."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.calib import HEAD_CHOICES, FineTuning, fit_head
from mvrec_edge.calib.fitting.head_fitting import HeadFit, describe_fit
from mvrec_edge.calib.fitting.leave_one_out import leave_one_out
from mvrec_edge.calib.fitting.probabilities import calibration_error, fit_temperature, log_loss
from mvrec_edge.calib.fitting.selection import experts_for, fit_average
from mvrec_edge.runtime import CentredZipAdapter, HeadSettings, SupportCache, ZipAdapter, head_names, open_head
from mvrec_edge.runtime.errors import UsageError


def cache(
    counts: tuple[int, ...] = (4, 4, 4), *, seed: int = 0, common: float = 0.0, noise: float = 0.7, views: int = 5
) -> SupportCache:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = rng.standard_normal((len(counts), 1, 24))
    embeddings = centres[labels] + noise * rng.standard_normal((len(labels), views, 24)) + common
    return SupportCache.from_embeddings(embeddings.astype(np.float32), labels, [f"c{n}" for n in range(len(counts))])


KERNELS = [("zip", 8.0, "mean"), ("zip", 2.0, "uncertainty"), ("zip-c", 8.0, "mean"), ("zip-c", 2.0, "uncertainty")]


def with_head(support: SupportCache, name: str, beta: float, aggregate: str) -> SupportCache:
    return dataclasses.replace(support, head=HeadSettings(name, beta, aggregate))


@pytest.mark.parametrize(("head", "beta", "aggregate"), KERNELS)
@pytest.mark.parametrize("images", ["abcdefghi", "aabbccddd", "abcabcdef", "abababcc-"])
def test_the_other_instances_of_an_image_are_left_out_with_it(
    head: str, beta: float, aggregate: str, images: str
) -> None:
    support = cache((3, 3, 3), common=2.0).changed(images=[image.strip("-") for image in images])
    left_out = leave_one_out(with_head(support, head, beta, aggregate))
    kind = {"zip": ZipAdapter, "zip-c": CentredZipAdapter}[head]
    tried = 0
    for logits, index in zip(left_out.logits, left_out.instances, strict=True):
        rest = [other for other in range(9) if images[other] != images[index] and other != index]
        names = [support.class_names[label] for label in np.unique(support.labels[rest])]
        places = [names.index(support.class_names[label]) for label in support.labels[rest]]
        # Averaged probabilities are those of as many classes as there are.
        if len(names) < (2 if aggregate == "mean" else 3):
            continue
        tried += 1
        without = SupportCache.from_embeddings(support.embeddings[rest], places, names)
        columns = [support.class_names.index(name) for name in names]
        want = kind(without, beta, aggregate).logits(support.embeddings[index : index + 1].astype(np.float32))
        np.testing.assert_allclose(logits[columns], want[0], rtol=1e-4, atol=1e-5)
        # A class that lies on that image alone is no answer.
        assert (np.delete(logits, columns) == 0).all()
    assert tried


def test_a_class_on_a_single_image_cannot_be_left_out() -> None:
    support = cache((3, 3)).changed(images=["a", "b", "c", "d", "d", "d"])
    np.testing.assert_array_equal(leave_one_out(support).instances, [0, 1, 2])
    selection = fit_average(support)
    assert selection.average is None
    assert [expert.temperature for expert in selection.head.experts] == [4.0, 1.0]
    assert "the class 'c1' has all its instances on a single image" in selection.reason


def test_what_auto_took_is_said_with_what_left_out_instances_say_of_it() -> None:
    lines = describe_fit(fit_head(cache((4, 4, 4), views=9), "auto"))
    assert lines[0] == (
        "head: average of zip-w, zip-vw, zip-c, temperatures by leaving each of 12 instances out with its image"
    )
    assert re.fullmatch(
        r"right of the left-out instances, and log-loss: average [\d.]+% and [\d.]+"
        r"(, zip-(w|vw|c) [\d.]+% and [\d.]+){3}",
        lines[1],
    )
    assert not any(line.startswith("head:") for line in describe_fit(fit_head(cache((4, 4, 4)), "zip")))


@pytest.mark.parametrize(
    ("temperature", "before", "after", "end"),
    [
        (2.53, 0.135, 0.256, "; it is higher after because few examples keep the probabilities cautious"),
        (0.5, 0.135, 0.256, "; it is higher after because the fit goes by the log-loss and not by this error"),
        (2.53, 0.256, 0.135, ""),
        (2.53, 0.1351, 0.1352, ""),
    ],
)
def test_a_higher_error_after_the_fit_is_explained(temperature: float, before: float, after: float, end: str) -> None:
    fit = fit_head(cache((4, 4, 4)), "zip")
    assert fit.temperature is not None
    head = dataclasses.replace(fit.cache.head, temperature=temperature)
    found = dataclasses.replace(fit.temperature, head=head, error_before=before, error_after=after)
    (line,) = describe_fit(HeadFit(dataclasses.replace(fit.cache, head=head), temperature=found))
    said = f"{100 * before:.1f}% before, {100 * after:.1f}% after"
    assert line == f"temperature {temperature}: expected calibration error {said}, by leaving each instance out{end}"


def test_images_of_one_instance_each_change_nothing() -> None:
    support = cache((4, 3, 5), common=1.0)
    with_images = support.changed(images=[str(place) for place in range(12)])
    for name in ("auto", "zip", "zip-c"):
        assert fit_head(support, name).cache.head == fit_head(with_images, name).cache.head


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 5), min_size=2, max_size=4).filter(lambda counts: sum(counts) > len(counts) + 1),
    st.sampled_from([0.0, 3.0, 30.0]),
    st.sampled_from([*KERNELS, ("zip", 32.0, "uncertainty")]),
    st.integers(1, 4000),
)
def test_leaving_out_is_making_the_cache_without_it(
    seed: int, counts: list[int], common: float, head: tuple[str, float, str], room: int
) -> None:
    """Also in pieces of any size, with classes in any order, and with a large common component."""
    support = cache(tuple(counts), seed=seed, common=common)
    shuffled = np.random.default_rng(seed).permutation(len(support.labels))
    support = support.subset(shuffled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mvrec_edge.runtime.heads.kernel_head.MOST_SIMILARITIES", room)
        left_out = leave_one_out(with_head(support, *head))
    for logits, index in zip(left_out.logits, left_out.instances, strict=True):
        without = with_head(support.subset(np.delete(np.arange(len(shuffled)), index)), *head)
        want = open_head(without).logits(support.embeddings[index : index + 1].astype(np.float32))
        np.testing.assert_allclose(logits, want[0], rtol=2e-3, atol=2e-3)


def test_others_that_are_all_the_same_have_no_direction_about_their_centre() -> None:
    embeddings = np.ones((4, 2, 8), np.float32)
    embeddings[3] = -1.0
    support = SupportCache.from_embeddings(embeddings, [0, 0, 1, 1], ["a", "b"])
    for aggregate in ("mean", "uncertainty"):
        assert np.isfinite(leave_one_out(with_head(support, "zip-c", 8.0, aggregate)).logits).all()


def test_a_class_of_one_cannot_be_left_out() -> None:
    assert leave_one_out(cache((3, 1))).instances.tolist() == [0, 1, 2]
    assert len(leave_one_out(cache((1, 1))).instances) == 0


@pytest.mark.parametrize(
    ("counts", "views", "experts", "why"),
    [
        ((4, 4, 4), 27, ["zip-w", "zip-vw", "zip-c"], ""),
        ((4, 4, 4), 8, ["zip-w", "zip-c"], "zip-vw needs 9 views of an instance, here are 8"),
        ((4, 4, 4), 1, ["zip-w", "zip-c"], "zip-vw needs 9 views of an instance, here is 1"),
        ((1, 1), 9, ["zip-w", "zip-vw"], "zip-c needs classes of more than one instance"),
        ((2, 1), 9, ["zip-w", "zip-vw", "zip-c"], ""),
        ((1, 1), 1, ["zip-w"], "zip-vw needs 9 views of an instance, here is 1; zip-c needs classes of more than one"),
        ((300, 201), 9, ["zip-w", "zip-c"], "zip-vw is for at most 500 instances, here are 501"),
    ],
)
def test_which_heads_are_averaged(counts: tuple[int, ...], views: int, experts: list[str], why: str) -> None:
    taken, said = experts_for(cache(counts, views=views))
    assert [expert.name for expert in taken] == experts
    assert said.startswith(why)
    assert bool(said) == bool(why)


def test_every_instance_that_can_be_left_out_is() -> None:
    support = cache((5, 5, 5), common=8.0, noise=0.4)
    seen: list[int] = []
    selection = fit_average(support, seen.append)
    assert sum(seen) == 15
    assert selection.average is not None
    assert selection.average.instances == 15
    assert selection.average.head == selection.head
    assert [each.head for each in selection.experts] == list(selection.head.experts)


def test_one_shot_takes_the_documented_temperatures() -> None:
    selection = fit_average(cache((1, 1, 1)))
    assert selection.average is None
    assert "single instance" in selection.reason
    assert selection.head.temperature == 1.5
    partly = fit_average(cache((5, 1, 5)))
    assert partly.average is None
    assert partly.head.experts == experts_for(cache((5, 1, 5)))[0]


@pytest.mark.parametrize("name", HEAD_CHOICES)
def test_every_choice_gives_a_head_that_opens_and_survives_a_file(name: str, tmp_path) -> None:
    fit = fit_head(cache(), name, tuning=FineTuning(steps=3))
    head = open_head(fit.cache)
    assert head.name in head_names()
    assert head.name == ("average" if name == "auto" else name)
    fit.cache.save(tmp_path / "a")
    query = np.random.default_rng(1).standard_normal((4, 5, 24)).astype(np.float32)
    again = open_head(SupportCache.load(tmp_path / "a"))
    np.testing.assert_array_equal(again.probabilities(query), head.probabilities(query))
    assert (fit.selection is not None) == (name in ("auto", "average"))
    assert fit.temperature is not None


def test_named_heads_take_parameters_and_auto_does_not() -> None:
    head = fit_head(cache(), "zip", beta=3.0, aggregate="mean").cache.head
    assert (head.name, head.beta, head.aggregate) == ("zip", 3.0, "mean")
    with pytest.raises(UsageError, match="neither beta nor aggregation"):
        fit_head(cache(), "auto", beta=3.0)
    with pytest.raises(UsageError, match="zip-c"):
        fit_head(cache(), "knn")
    with pytest.raises(UsageError, match="the head 'zip-w' has no aggregation 'uncertainty'"):
        fit_head(cache(), "zip-w", aggregate="uncertainty")
    with pytest.raises(UsageError, match="beta"):
        fit_head(cache(), "zip", beta=-1.0)


def test_duplicate_instances_are_taken_as_they_are() -> None:
    """The same instance twice counts twice; left out, its twin finds it, so the accuracy is too good, as documented."""
    support = cache((2, 2))
    twice = SupportCache.from_embeddings(
        np.concatenate([support.embeddings] * 2), np.concatenate([support.labels] * 2), support.class_names
    )
    average = fit_average(twice).average
    assert average is not None
    assert average.accuracy == 1.0


def test_the_temperature_changes_probabilities_and_not_the_class() -> None:
    support = cache(noise=1.5)
    query = np.random.default_rng(1).standard_normal((40, 5, 24)).astype(np.float32)
    for aggregate in ("mean", "uncertainty"):
        sharp = ZipAdapter(support, 8.0, aggregate, temperature=0.2).probabilities(query)
        flat = ZipAdapter(support, 8.0, aggregate, temperature=5.0).probabilities(query)
        np.testing.assert_array_equal(sharp.argmax(axis=1), flat.argmax(axis=1))
        assert (sharp.max(axis=1) >= flat.max(axis=1)).all()
    with pytest.raises(UsageError, match="temperature"):
        ZipAdapter(support, temperature=0.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_the_fitted_temperature_is_the_best_and_undoes_a_scale(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 60)
    logits = (2 * np.eye(3)[labels] + rng.standard_normal((60, 3))).astype(np.float32)
    best = fit_temperature(logits, labels)
    for other in (best * 0.9, best * 1.1):
        assert log_loss(logits, labels, best) <= log_loss(logits, labels, other) + 1e-9
    scaled = fit_temperature((logits * scale).astype(np.float32), labels)
    assert scaled == pytest.approx(best * scale, rel=1e-3)


def test_all_right_is_not_taken_for_certainty() -> None:
    labels = np.array([0, 1, 2, 0, 1, 2])
    logits = (5 * np.eye(3)[labels]).astype(np.float32)
    temperature = fit_temperature(logits, labels)
    scaled = np.exp(logits / temperature)
    probability = (scaled / scaled.sum(axis=1, keepdims=True)).max()
    assert probability == pytest.approx(7 / 8, abs=1e-3)


def test_nothing_to_fit_leaves_the_temperature_at_one() -> None:
    assert fit_temperature(np.empty((0, 3), np.float32), np.empty(0, np.int64)) == 1.0


def test_calibration_error_by_hand() -> None:
    # Two stated at 0.75, one of them right; two stated at 1.0, both right: gap 0.25 for half of them.
    logits = np.log(np.array([[0.75, 0.25], [0.75, 0.25], [1 - 1e-9, 1e-9], [1 - 1e-9, 1e-9]])).astype(np.float32)
    assert calibration_error(logits, np.array([0, 1, 0, 0])) == pytest.approx(0.125, abs=1e-4)


def test_a_class_may_not_lose_its_last_instance() -> None:
    from mvrec_edge.runtime.errors import SupportError

    support = cache((2, 1))
    with pytest.raises(SupportError, match="'c1' has no instance"):
        support.subset([0, 1])
    kept = support.subset([0, 2])
    assert kept.labels.tolist() == [0, 1]
    assert dataclasses.replace(kept).sources == ("0", "2")
