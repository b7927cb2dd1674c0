"""A change with all that follows from it, before it is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mvrec_edge.calib.changes.changed import Changed
from mvrec_edge.calib.changes.comparison import Comparison, compare
from mvrec_edge.calib.changes.refitting import refit
from mvrec_edge.runtime.errors import RegressionError
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["Proposal", "propose"]


@dataclass(frozen=True)
class Proposal:
    """A changed cache that is ready to be written.

    Attributes:
        cache: The cache, fitted again.
        summary: The change in words.
        notes: What the reader should know besides, one line each.
        comparison: How it reads its own instances, against before.
    """

    cache: SupportCache
    summary: str
    notes: tuple[str, ...]
    comparison: Comparison

    def check(self) -> None:
        """Refuses a change that makes the support worse by leave-one-out.

        Raises:
            RegressionError: Instances that were read rightly are misread now.
        """
        if self.comparison.is_regression:
            count = len(self.comparison.newly_misread)
            raise RegressionError(
                f"{count} support instance{'' if count == 1 else 's'} read rightly before would be misread, so "
                "nothing is written",
                fix="check the labels of what was changed",
            )

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types."""
        return {"change": self.summary, "notes": list(self.notes), **self.comparison.to_dict()}


def propose(
    before: SupportCache,
    changed: Changed,
    *,
    anew: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Proposal:
    """Fits a changed cache again and compares it with the one before.

    Args:
        before: The cache before.
        changed: The change.
        anew: See `refit`.
        progress: Called with the number of instances after each part of those left out, for the view
            schedule and for the comparison.
    """
    refitted = refit(changed.cache, before, anew=anew, progress=progress)
    comparison = compare(before, dataclasses.replace(changed, cache=refitted.cache), progress)
    return Proposal(refitted.cache, changed.summary, changed.notes + refitted.notes, comparison)
