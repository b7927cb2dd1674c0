"""The fitted schedule: the useful views first, and a rule that says what it rests on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.calib.fitting.head_fitting import fit_head
from mvrec_edge.calib.fitting.schedule_fitting import (
    FEWEST_LEFT_OUT,
    Trial,
    fit_schedule,
    fit_spread_factors,
    useful_order,
    with_schedule,
)
from mvrec_edge.runtime import HeadSettings, SupportCache, ViewPlan
from mvrec_edge.runtime.heads.evidence import Margins, change_probability
from mvrec_edge.runtime.views.schedule import CAUTION

CENTRED = HeadSettings("zip-c", beta=4.0, aggregate="mean")


def cache(noise: float = 1.0, shots: int = 5, classes: int = 3) -> SupportCache:
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(classes), shots)
    means = 3 * np.eye(24)[labels] + 0.3 * rng.standard_normal((len(labels), 24))
    embeddings = means[:, None] + noise * rng.standard_normal((len(labels), 27, 24))
    names = [f"class {number}" for number in range(classes)]
    return SupportCache.from_embeddings(embeddings, labels, names, view_plan=ViewPlan.mso(), head=CENTRED)


@pytest.mark.parametrize("aggregate", ["mean", "uncertainty"])
def test_a_fitted_schedule_begins_with_the_centred_views_and_says_what_it_rests_on(aggregate: str) -> None:
    support = dataclasses.replace(cache(), head=dataclasses.replace(CENTRED, aggregate=aggregate))
    seen: list[int] = []
    schedule = fit_schedule(support, seen.append)
    assert schedule.groups[0] == (4, 13, 22)
    assert sorted(schedule.order) == list(range(27))
    assert schedule.fitted
    assert schedule.left_out == len(seen) == 15
    assert f"{schedule.stopped} would have stopped" in schedule.describe()
    assert fit_schedule(support) == schedule


@pytest.mark.parametrize(("shots", "classes"), [(1, 5), (2, 3), (1, 12)])
def test_too_few_left_out_instances_give_the_cautious_default(shots: int, classes: int) -> None:
    assert shots * classes < FEWEST_LEFT_OUT or shots == 1
    schedule = fit_schedule(cache(shots=shots, classes=classes))
    assert (schedule.spread_factors, schedule.fitted) == (CAUTION, False)
    assert "cautious default" in schedule.describe()


def test_a_trained_head_gets_the_cautious_default() -> None:
    tuned = fit_head(cache(shots=3), "zip-f").cache
    assert not fit_schedule(tuned).fitted


def test_decisions_that_differ_where_few_should_widen_the_rule() -> None:
    rng = np.random.default_rng(0)
    outcomes = np.stack([np.zeros(10), -2.0 + rng.standard_normal(10)], axis=1)
    margins = Margins(0, outcomes)
    assert 0.01 < change_probability(margins, [1.0]) < 0.1
    same, other = Trial(0, (0, 0), (margins,)), Trial(0, (0, 1), (margins,))
    never, as_told, often = (
        fit_spread_factors([same] * 20),
        fit_spread_factors([same] * 19 + [other]),
        fit_spread_factors([same] * 12 + [other] * 8),
    )
    middles = [float(np.median(factors)) for factors in (never, as_told, often)]
    assert middles[0] < middles[1] < 1.5 < middles[2]
    assert list(never) == sorted(never)


def test_the_order_prefers_views_that_stand_for_all() -> None:
    """The second view errs against the first, so both together are right; the others err in ways of their own."""
    rng = np.random.default_rng(0)
    means, error = rng.standard_normal((2, 12, 8))
    others = means[:, None] + 0.3 * rng.standard_normal((12, 4, 8))
    embeddings = np.concatenate([(means + error)[:, None], others, (means - error)[:, None]], axis=1)
    order = useful_order(embeddings, [0])
    assert sorted([0, *order]) == list(range(6))
    assert order[0] == 5


def test_a_single_view_needs_no_rule() -> None:
    support = cache()
    single = SupportCache.from_embeddings(
        support.embeddings[:, :1].astype(np.float32), support.labels, support.class_names, head=CENTRED
    )
    schedule = fit_schedule(single)
    assert (schedule.groups, schedule.fitted) == (((0,),), False)


def test_the_schedule_is_kept_in_the_file_and_dropped_where_instances_leave(tmp_path: Path) -> None:
    made = with_schedule(cache())
    made.save(tmp_path / "a")
    assert SupportCache.load(tmp_path / "a").schedule == made.schedule
    assert made.subset(range(14)).schedule is None


@pytest.mark.parametrize(("instances", "left_out"), [(61, 60), (2000, 60), (4000, 30), (6100, 20)])
def test_of_many_instances_some_are_left_out_the_same_each_time(instances: int, left_out: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(instances) % 2
    embeddings = (np.eye(2)[labels][:, None] + 0.5 * rng.standard_normal((instances, 4, 2))).astype(np.float32)
    support = SupportCache.from_embeddings(embeddings, labels, ["a", "b"], head=CENTRED)
    schedule = fit_schedule(support)
    assert schedule.left_out == left_out
    assert fit_schedule(support) == schedule
