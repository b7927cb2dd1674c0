"""Trials in forked children: what they return, and how they end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.harness.children import in_a_child


def test_what_it_returns_comes_back() -> None:
    assert in_a_child(lambda: {"answers": list(range(100_000))}) == ({"answers": list(range(100_000))}, None)


def _raises() -> None:
    raise ValueError("no such thing")


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (_raises, "ValueError: no such thing"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "ended by SIGKILL"),
        (signal.pause, "hangs for 1 s"),
    ],
)
def test_how_it_ends_is_said(work: Callable[[], object], said: str) -> None:
    answer, ended = in_a_child(work, seconds=1)
    assert answer is None
    assert ended is not None
    assert said in ended
