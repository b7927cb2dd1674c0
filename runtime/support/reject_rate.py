"""The wanted share of known defects that are called unknown, as it is given and checked."""

from __future__ import annotations

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.support.percentages import parse_share

__all__ = ["HIGHEST_RATE", "LOWEST_RATE", "check_rate", "parse_rate"]

#: Rates that a limit can be computed for.
LOWEST_RATE, HIGHEST_RATE = 1e-5, 0.5


def check_rate(rate: float) -> None:
    """Refuses a rate that no limit is computed for.

    Raises:
        UsageError: The rate is outside 0.001% to 50%.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise UsageError(
            f"the reject rate must be from {LOWEST_RATE:.3%} to {HIGHEST_RATE:.0%}, not {100 * rate:g}%",
            fix="example: --reject-rate 5%",
        )


def parse_rate(text: str) -> float:
    """Reads a rate such as `5%` or `0.05`.

    Raises:
        UsageError: It is neither, or outside 0.001% to 50%.
    """
    rate = parse_share(text, "a rate", "example: --reject-rate 5%")
    check_rate(rate)
    return rate
