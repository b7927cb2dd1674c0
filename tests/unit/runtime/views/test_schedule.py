"""View schedules: every view once, whatever stands in a file."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.runtime import ViewPlan
from mvrec_edge.runtime.errors import MvrecEdgeError, UsageError
from mvrec_edge.runtime.files.json_documents import Fields
from mvrec_edge.runtime.views.plan import RECIPES
from mvrec_edge.runtime.views.schedule import ViewSchedule, default_schedule, grouped


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_default_has_every_view_once_and_the_centred_ones_first(name: str) -> None:
    plan = ViewPlan.by_name(name)
    schedule = default_schedule(plan)
    assert sorted(schedule.order) == list(range(plan.count))
    assert schedule.groups[0] == plan.centred
    assert not schedule.fitted


@given(st.permutations(range(12)), st.integers(0, 12))
def test_groups_hold_the_order(order: list[int], centred: int) -> None:
    schedule = ViewSchedule(grouped(order[:centred], order[centred:]))
    assert list(schedule.order) == order
    for count in range(1, 13):
        assert [view for group in schedule.first(count) for view in group] == order[:count]


@given(st.permutations(range(12)), st.floats(0.1, 100), st.integers(1, 50), st.sampled_from(["all", "auto", 1, 12]))
def test_round_trip(order: list[int], widening: float, left_out: int, use: str | int) -> None:
    schedule = ViewSchedule(grouped(order[:2], order[2:]), (widening, 2.0), left_out, left_out - 1, 0, use)
    payload = json.loads(json.dumps(schedule.to_dict()))
    assert ViewSchedule.from_fields(Fields(payload, "x"), 12) == schedule
    del payload["use"]
    assert ViewSchedule.from_fields(Fields(payload, "x"), 12) == dataclasses.replace(schedule, use="all")


@pytest.mark.parametrize(
    "groups", [(), ((),), ((0, 1), ()), ((0, 0),), ((1, 2),), ((0, 1), (1, 2)), ((-1, 0),), (tuple(range(1025)),)]
)
def test_what_is_no_order_is_refused(groups: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(UsageError, match="each view"):
        ViewSchedule(groups)


@pytest.mark.parametrize(
    "changes",
    [
        {"spread_factors": (0.0,)},
        {"spread_factors": (1.0, float("nan"))},
        {"spread_factors": ()},
        {"left_out": -1},
        {"differed": 1},
        {"use": 3},
        {"use": 0},
        {"use": True},
        {"use": "some"},
        {"use": None},
    ],
)
def test_impossible_numbers_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="view schedule"):
        ViewSchedule(((0, 1),), **changes)  # type: ignore[arg-type]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(_JSON, _JSON, _JSON)
def test_a_hostile_description_is_refused_or_right(groups: object, widening: object, count: object) -> None:
    payload = {"groups": groups, "widening": widening, "left_out": count, "stopped": count, "differed": 0}
    try:
        schedule = ViewSchedule.from_fields(Fields(payload, "x"), 4)
    except MvrecEdgeError:
        return
    assert sorted(schedule.order) == list(range(len(schedule.order)))
