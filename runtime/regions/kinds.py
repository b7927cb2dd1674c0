"""Outlines, boxes or whole images: whether what is classified was marked as what was learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mvrec_edge.runtime.regions.region import REGION_INPUTS, Region

__all__ = ["KIND_WORDS", "MIXED", "KindWarning", "KindWatch", "common_kind", "describe_mixing"]

#: What the regions of a set have in common that are not all alike.
MIXED = "mixed"
#: The kinds of regions in words.
KIND_WORDS = {"mask": "outlines", "box": "boxes", "full": "whole images", MIXED: "outlines and boxes"}
# A few that are otherwise change nothing: a rectangle among polygons, a box that somebody corrected by hand.
_ENOUGH = 0.8
_FEWEST = 5
_CACHE = "the support cache learned from"


class KindWarning(UserWarning):
    """Regions to classify were marked otherwise than those that the support cache learned from."""


def common_kind(regions: Iterable[Region]) -> str:
    """What regions are: the kind of at least 80% of them, else `"mixed"`; empty where there is none."""
    kinds = Counter(region.kind for region in regions)
    if not kinds:
        return ""
    kind, count = kinds.most_common(1)[0]
    return kind if count >= _ENOUGH * kinds.total() else MIXED


def describe_mixing(learned: str, regions: Iterable[Region], what: str, whose: str = _CACHE) -> str | None:
    """A warning where regions are of another kind than those that were learned from; None where they are not.

    Args:
        learned: What was learned from, as `common_kind` says.
        regions: The others.
        what: What the others are, such as `"regions to classify"`.
        whose: How the warning begins, before what was learned from.
    """
    watch = KindWatch(learned, what, whose)
    return watch.see(regions) or watch.at_the_end()


class KindWatch:
    """Watches the kinds of regions as they come, and tells once where a fifth is not of the kind that was learned from.

    Args:
        learned: What was learned from, as `common_kind` says; nothing is told where that is unknown or mixed.
        what: What is watched.
        whose: How the warning begins, before what was learned from.
    """

    def __init__(self, learned: str, what: str = "regions to classify", whose: str = _CACHE) -> None:
        self._learned = learned
        self._what = what
        self._whose = whose
        self._seen: Counter[str] = Counter()
        self._told = learned not in REGION_INPUTS

    def see(self, regions: Iterable[Region]) -> str | None:
        """Looks at regions; returns the warning as soon as there is enough to say it."""
        if not self._told:
            self._seen.update(region.kind for region in regions)
        return self.at_the_end() if self._others >= _FEWEST else None

    @property
    def _others(self) -> int:
        """Regions of another kind."""
        return self._seen.total() - self._seen[self._learned]

    def at_the_end(self) -> str | None:
        """The warning, where it is not said yet and what was seen bears it out, however few regions it were."""
        total = self._seen.total()
        if self._told or not total or self._others < (1 - _ENOUGH) * total:
            return None
        self._told = True
        kind, count = next(pair for pair in self._seen.most_common() if pair[0] != self._learned)
        fix = {
            "mask": "calibrate with --input box, or give outlines",
            "box": "give --input box, which takes the box around each outline",
            "full": "give --input full, so that nothing is said about where the defect is",
        }[self._learned]
        if kind == "full":
            fix = "calibrate with --input full, or give masks"
        return (
            f"{self._whose} {KIND_WORDS[self._learned]}, but the {self._what} are {KIND_WORDS[kind]} "
            f"({count} of {total} so far), which look otherwise to the encoder ({fix})"
        )
