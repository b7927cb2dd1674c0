"""The budget of a run, and whether its workers fit."""

from __future__ import annotations

from typing import Any

import pytest

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.measuring.plan import Budget, Member, fits_in_memory
from mvrec_edge.runtime.measuring.schedule import in_turn


@pytest.mark.parametrize(
    ("seconds", "runs"),
    [(1e-4, 4), (0.5, 4), (2.0, 2), (4.0, 1), (60.0, 1)],
)
def test_a_visit_runs_as_often_as_time_and_repeats_allow(seconds: float, runs: int) -> None:
    assert Budget(repeats=20, rounds=5, seconds=20.0).runs_per_visit(seconds) == runs


@pytest.mark.parametrize(
    "wrong",
    [
        {"batches": ()},
        {"batches": (0,)},
        {"batches": (9, 9)},
        {"batches": (5000,)},
        {"repeats": 0},
        {"seconds": float("nan")},
        {"rounds": 0},
        {"warm_up": 0},
        {"starts": 0},
        {"threads": 0},
        {"views": 0},
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Budget(**wrong)


def test_the_order_turns_around() -> None:
    members = tuple(Member(name, "m", {}) for name in "abc")
    assert [member.name for member in in_turn(members, 0)] == ["a", "b", "c"]
    assert [member.name for member in in_turn(members, 1)] == ["c", "b", "a"]
    assert in_turn(members, 2) == in_turn(members, 0)


def test_workers_need_two_and_a_half_times_their_graphs() -> None:
    members = (Member("a", "m", {}, size=600), Member("b", "m", {}, size=400))
    assert fits_in_memory(members, 2500)
    assert not fits_in_memory(members, 2499)
    assert fits_in_memory(members, None)
