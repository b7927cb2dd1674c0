"""What a call takes is measured, and held against the limits."""

from __future__ import annotations

import time

import pytest

from mvrec_edge.runtime.errors import InputError
from tests.harness.limits import Cost, cost_in_child, cost_of, fault


def _refuse() -> None:
    raise InputError("it is damaged", where="a file", fix="make it anew")


def _escape() -> None:
    raise ZeroDivisionError("by nothing")


def _take(megabytes: int) -> None:
    held = bytearray(megabytes << 20)
    held[:: 1 << 12] = bytes(len(held[:: 1 << 12]))


def _work(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.mark.parametrize("measure", [cost_of, cost_in_child])
def test_it_says_how_a_call_ended(measure: object) -> None:
    assert callable(measure)
    refused, escaped, done = measure(_refuse), measure(_escape), measure(lambda: None)
    assert "it is damaged" in refused.refusal
    assert "ZeroDivisionError at test_limits.py" in escaped.escape
    assert (refused.escape, escaped.refusal) == (None, None)
    assert (done.refusal, done.escape) == (None, None)
    assert [fault(refused), fault(done)] == [None, None]
    assert fault(escaped) == escaped.escape


@pytest.mark.parametrize("measure", [cost_of, cost_in_child])
def test_it_measures_memory_that_is_given_back(measure: object) -> None:
    assert callable(measure)
    # A kernel that takes idle pages back meanwhile hides a part of the peak, and adds nothing to it.
    cost = max((measure(lambda: _take(300)) for _ in range(3)), key=lambda each: each.megabytes)
    assert 290 < cost.megabytes < 400
    assert "MB" in str(fault(cost))
    assert fault(cost, needed_mb=200) is None
    assert measure(lambda: None).megabytes < 50


def test_it_measures_processor_time() -> None:
    assert cost_of(lambda: _work(0.05)).seconds >= 0.05
    assert fault(Cost(2.5, 0)) == "took 2.5 s (success)"


def test_a_child_that_takes_too_much_is_ended() -> None:
    cost = cost_in_child(lambda: _take(8000))
    assert "was ended at" in str(cost.escape)
    assert "was ended at" in str(fault(cost))
