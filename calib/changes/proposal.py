"""A change with all that follows from it, before it is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.changes.changed import Changed
from mvrec_edge.calib.changes.comparison import Comparison, compare
from mvrec_edge.calib.changes.refitting import refit
from mvrec_edge.calib.fitting.part_fitting import describe_parts, fit_parts
from mvrec_edge.runtime.errors import RegressionError
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.parts import join_parts, part_of, parts_of, places_of

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
    if changed.cache.parts:
        return _propose_parts(before, changed, anew=anew, progress=progress)
    refitted = refit(changed.cache, before, anew=anew, progress=progress)
    comparison = compare(before, dataclasses.replace(changed, cache=refitted.cache), progress)
    return Proposal(refitted.cache, changed.summary, changed.notes + refitted.notes, comparison)


def _propose_parts(before: SupportCache, changed: Changed, *, anew: bool, progress: Callable[[int], None]) -> Proposal:
    """The same for each part of a cache; a part that is new is fitted already and stays as it is.

    A cache before that had no parts is the part that its instances are in now.
    """
    notes = [*changed.notes]
    fitted: dict[str, SupportCache] = {}
    comparisons = []
    for name, part in parts_of(changed.cache).items():
        places = places_of(changed.cache, name)
        earlier, origins = _before_of(before, name, changed.origins[places])
        if earlier is not None:
            refitted = refit(part, earlier, anew=anew, progress=progress)
            part = refitted.cache
            notes += [f"part '{name}': {note}" for note in refitted.notes]
        fitted[name] = part
        comparison = compare(earlier, Changed(part, origins, ""), progress)
        comparisons.append(comparison.of_part(name, places))
    notes += _without_limit(fitted, before)
    cache = join_parts(fitted, None if changed.cache.part_fits is None else changed.cache.part_fits.head)
    if anew or cache.parts != before.parts or not np.array_equal(cache.embeddings, before.embeddings):
        cache = fit_parts(fitted)
        notes.append(describe_parts(cache))
    return Proposal(cache, changed.summary, tuple(notes), Comparison.joined(comparisons))


def _without_limit(parts: Mapping[str, SupportCache], before: SupportCache) -> list[str]:
    """That parts have no limit for review beside others that have one, where that was not so before."""
    told = _lacking_limit(parts_of(before))
    return [
        f"part '{name}' has no limit for review, so its records have no field 'review': calibrate it with "
        "--right-at-least; calibrate --rebase CACHE with it gives every part one"
        for name in _lacking_limit(parts)
        if name not in told
    ]


def _lacking_limit(parts: Mapping[str, SupportCache]) -> list[str]:
    """The parts without a limit for review; none where no part has one."""
    lacking = [name for name, part in parts.items() if part.review is None]
    return lacking if len(lacking) < len(parts) else []


def _before_of(
    before: SupportCache, name: str, origins: npt.NDArray[np.int64]
) -> tuple[SupportCache | None, npt.NDArray[np.int64]]:
    """The cache of a part before a change, None where it was not there, and the places of its instances in that."""
    if not before.parts:
        return (before if (origins >= 0).any() else None), origins
    if name not in before.part_names:
        return None, origins
    inside = np.full(len(before.labels), -1, np.int64)
    places = places_of(before, name)
    inside[places] = np.arange(len(places))
    return part_of(before, name), np.where(origins < 0, -1, inside[origins])
