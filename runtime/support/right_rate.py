"""The wanted share of right answers among regions that no human looks at, as it is given and checked."""

from __future__ import annotations

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.support.percentages import parse_share

__all__ = ["HIGHEST_RIGHT", "LOWEST_RIGHT", "check_right_rate", "parse_right_rate"]

#: Shares that a limit can be computed for. No number of examples shows that every answer will be right.
LOWEST_RIGHT, HIGHEST_RIGHT = 0.5, 0.9999

_EXAMPLE = "example: --right-at-least 95%"


def check_right_rate(rate: float) -> None:
    """Refuses a share that no limit is computed for.

    Raises:
        UsageError: The share is outside 50% to 99.99%.
    """
    if not LOWEST_RIGHT <= rate <= HIGHEST_RIGHT:
        raise UsageError(
            f"the share of right answers must be from {LOWEST_RIGHT:.0%} to {HIGHEST_RIGHT:.2%}, not {100 * rate:g}%",
            fix=_EXAMPLE,
        )


def parse_right_rate(text: str) -> float:
    """Reads a share such as `95%` or `0.95`.

    Raises:
        UsageError: It is neither, or outside 50% to 99.99%.
    """
    rate = parse_share(text, "a share of right answers", _EXAMPLE)
    check_right_rate(rate)
    return rate
