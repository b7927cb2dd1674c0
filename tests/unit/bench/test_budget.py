"""The budget of a run, and whether its workers fit."""

from __future__ import annotations

from typing import Any

import pytest

from mvrec_edge.bench.budget import BenchCase, Budget, fits_in_memory
from mvrec_edge.bench.round_robin import in_turn
from mvrec_edge.runtime.errors import UsageError


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
    cases = tuple(BenchCase(name, "m", {}) for name in "abc")
    assert [case.name for case in in_turn(cases, 0)] == ["a", "b", "c"]
    assert [case.name for case in in_turn(cases, 1)] == ["c", "b", "a"]
    assert in_turn(cases, 2) == in_turn(cases, 0)


def test_workers_need_two_and_a_half_times_their_graphs() -> None:
    cases = (BenchCase("a", "m", {}, size=600), BenchCase("b", "m", {}, size=400))
    assert fits_in_memory(cases, 2500)
    assert not fits_in_memory(cases, 2499)
    assert fits_in_memory(cases, None)
