"""Shares as a user writes them: `5%`, or `0.05`."""

from __future__ import annotations

import math

from mvrec_edge.runtime.errors import UsageError

__all__ = ["parse_share"]


def parse_share(text: str, what: str, fix: str) -> float:
    """Reads a share such as `5%` or `0.05`; whether it is within any bounds is for the caller to say.

    Args:
        text: What was given.
        what: What it is not where it cannot be read, for the message.
        fix: An example, for the message.

    Raises:
        UsageError: It is neither.
    """
    stripped = text.strip()
    try:
        share = float(stripped.removesuffix("%")) / (100 if stripped.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if math.isnan(share):
        raise UsageError(f"'{text}' is not {what}", fix=fix)
    return share
