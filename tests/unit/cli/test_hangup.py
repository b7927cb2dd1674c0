"""SIGHUP is passed on, whenever it comes."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from mvrec_edge.cli.hangup import Hangup


@pytest.fixture(autouse=True)
def _handler_put_back() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_one_that_comes_early_is_kept_for_later() -> None:
    hangup = Hangup()
    signal.raise_signal(signal.SIGHUP)
    assert hangup.arrived
    calls: list[int] = []
    hangup.calls(lambda: calls.append(1))
    assert calls == [1]
    signal.raise_signal(signal.SIGHUP)
    assert calls == [1, 1]


def test_none_calls_nothing() -> None:
    calls: list[int] = []
    hangup = Hangup()
    hangup.calls(lambda: calls.append(1))
    assert calls == []
    assert not hangup.arrived
