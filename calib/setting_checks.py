"""Checks that several settings share."""

from __future__ import annotations

import sys

from mvrec_edge.runtime.errors import UsageError

__all__ = ["check_integer", "check_number"]


def check_integer(what: str, value: object) -> None:
    """Refuses what is not a whole number; `True` is none.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{what} must be a whole number, not {value!r}")


def check_number(what: str, value: object) -> None:
    """Refuses what is not a finite number.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{what} must be a number, not {value!r}")
    # Compared and not converted: a whole number may be too large for a float.
    if not -sys.float_info.max <= value <= sys.float_info.max:
        raise UsageError(f"{what} must be a finite number")
