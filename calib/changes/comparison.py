"""A changed cache against the one before: which support instances are read otherwise when each is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.changes.changed import Changed
from mvrec_edge.calib.fitting.reading_itself import UNTRIED, count_right, read_by_others
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.parts import parts_of, places_of

__all__ = ["Comparison", "Reading", "compare", "read_left_out"]


@dataclass(frozen=True)
class Reading:
    """A support instance, and what all the others make of it.

    Attributes:
        instance: Its place in the changed cache.
        source: Where it was read from.
        label: Its class.
        read_as: The class that the others give it.
    """

    instance: int
    source: str
    label: str
    read_as: str

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types."""
        return {"instance": self.instance, "source": self.source, "label": self.label, "read_as": self.read_as}


@dataclass(frozen=True)
class Comparison:
    """How the support reads itself before and after a change, each instance left out in turn.

    An instance whose class has none on another image cannot be left out, and counts nowhere.

    Attributes:
        newly_misread: Read rightly before, and wrongly now.
        newly_right: Read wrongly before, and rightly now.
        new_misread: Not there before, and read wrongly by all the others.
        before: Instances read rightly and all that could be left out, of each class before the change.
        after: The same, of each class now.
    """

    newly_misread: tuple[Reading, ...]
    newly_right: tuple[Reading, ...]
    new_misread: tuple[Reading, ...]
    before: dict[str, tuple[int, int]]
    after: dict[str, tuple[int, int]]

    @property
    def is_regression(self) -> bool:
        """Whether an instance that was read rightly is misread now."""
        return bool(self.newly_misread)

    def of_part(self, name: str, places: npt.NDArray[np.int64]) -> Comparison:
        """The comparison of one part as one of the whole cache.

        Args:
            name: The part.
            places: int64 `[n]`, where the part's instances stand in the whole changed cache.
        """

        def moved(readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
            return tuple(
                Reading(int(places[each.instance]), each.source, f"{name}/{each.label}", f"{name}/{each.read_as}")
                for each in readings
            )

        return Comparison(
            moved(self.newly_misread),
            moved(self.newly_right),
            moved(self.new_misread),
            {f"{name}/{of}": counts for of, counts in self.before.items()},
            {f"{name}/{of}": counts for of, counts in self.after.items()},
        )

    @staticmethod
    def joined(comparisons: Sequence[Comparison]) -> Comparison:
        """Those of several parts as one."""
        return Comparison(
            tuple(each for one in comparisons for each in one.newly_misread),
            tuple(each for one in comparisons for each in one.newly_right),
            tuple(each for one in comparisons for each in one.new_misread),
            {name: counts for one in comparisons for name, counts in one.before.items()},
            {name: counts for one in comparisons for name, counts in one.after.items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types."""
        return {
            "regression": self.is_regression,
            "newly_misread": [reading.to_dict() for reading in self.newly_misread],
            "newly_right": [reading.to_dict() for reading in self.newly_right],
            "new_misread": [reading.to_dict() for reading in self.new_misread],
            **{
                when: {name: {"right": right, "of": total} for name, (right, total) in counts.items()}
                for when, counts in (("before", self.before), ("after", self.after))
            },
        }


def compare(
    before: SupportCache | None, changed: Changed, progress: Callable[[int], None] = lambda _: None
) -> Comparison:
    """Leaves each instance out before and after a change, each time with the cache's own head.

    Args:
        before: The cache before; None for a part that was not there.
        changed: The cache after, fitted again.
        progress: Called with the number of instances after each part of them, of both caches.

    Raises:
        UsageError: A head needs training and has not been trained.
    """
    after = changed.cache
    earlier = np.empty(0, np.int64) if before is None else read_by_others(before, progress)
    now = read_by_others(after, progress)
    misread, right, new = [], [], []
    for place, origin in enumerate(changed.origins):
        if now[place] == UNTRIED:
            continue
        reading = Reading(
            place, after.sources[place], after.class_names[after.labels[place]], after.class_names[now[place]]
        )
        is_right = now[place] == after.labels[place]
        if origin < 0:
            if not is_right:
                new.append(reading)
        elif before is not None and earlier[origin] != UNTRIED:
            was_right = earlier[origin] == before.labels[origin]
            if was_right and not is_right:
                misread.append(reading)
            elif is_right and not was_right:
                right.append(reading)
    counts = {} if before is None else count_right(before, earlier)
    return Comparison(tuple(misread), tuple(right), tuple(new), counts, count_right(after, now))


def read_left_out(cache: SupportCache) -> list[str | None]:
    """The class that all others give each instance with the cache's own head; None for the only one of a class.

    Instances of one image are left out together, so the class is None as well where all of a class lie on one.
    Where there are parts, the others are those of the same part.
    """
    if cache.parts:
        read: list[str | None] = [None] * len(cache.labels)
        for name, part in parts_of(cache).items():
            for place, each in zip(places_of(cache, name), read_left_out(part), strict=True):
                read[place] = each
        return read
    return [None if label == UNTRIED else cache.class_names[label] for label in read_by_others(cache)]
