"""The wanted share of right answers, as it is given."""

from __future__ import annotations

import pytest

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.support.right_rate import parse_right_rate


@pytest.mark.parametrize(("text", "rate"), [("95%", 0.95), (" 99.5% ", 0.995), ("0.9", 0.9), ("50%", 0.5)])
def test_shares(text: str, rate: float) -> None:
    assert parse_right_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["95", "100%", "1", "0", "49%", "nan", "inf%", "most", "", "%", "5%"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="example: --right-at-least 95%"):
        parse_right_rate(text)
