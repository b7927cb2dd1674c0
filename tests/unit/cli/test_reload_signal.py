"""SIGHUP is passed on, whenever it comes."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from mvrec_edge.cli.reload_signal import ReloadSignal


@pytest.fixture(autouse=True)
def _handler_put_back() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_one_that_comes_early_is_kept_for_later() -> None:
    reload_signal = ReloadSignal()
    signal.raise_signal(signal.SIGHUP)
    assert reload_signal.arrived
    calls: list[int] = []
    reload_signal.calls(lambda: calls.append(1))
    assert calls == [1]
    signal.raise_signal(signal.SIGHUP)
    assert calls == [1, 1]


def test_none_calls_nothing() -> None:
    calls: list[int] = []
    reload_signal = ReloadSignal()
    reload_signal.calls(lambda: calls.append(1))
    assert calls == []
    assert not reload_signal.arrived
