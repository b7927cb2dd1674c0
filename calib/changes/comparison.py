"""A changed cache against the one before: which support instances are read otherwise when each is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mvrec_edge.calib.changes.changed import Changed
from mvrec_edge.calib.fitting.reading_itself import UNTRIED, count_right, read_by_others
from mvrec_edge.runtime.support.cache import SupportCache

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


def compare(before: SupportCache, changed: Changed, progress: Callable[[int], None] = lambda _: None) -> Comparison:
    """Leaves each instance out before and after a change, each time with the cache's own head.

    Args:
        before: The cache before.
        changed: The cache after, fitted again.
        progress: Called with the number of instances after each part of them, of both caches.

    Raises:
        UsageError: A head needs training and has not been trained.
    """
    after = changed.cache
    earlier, now = read_by_others(before, progress), read_by_others(after, progress)
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
        elif earlier[origin] != UNTRIED:
            was_right = earlier[origin] == before.labels[origin]
            if was_right and not is_right:
                misread.append(reading)
            elif is_right and not was_right:
                right.append(reading)
    return Comparison(tuple(misread), tuple(right), tuple(new), count_right(before, earlier), count_right(after, now))


def read_left_out(cache: SupportCache) -> list[str | None]:
    """The class that all others give each instance with the cache's own head; None for the only one of a class.

    Instances of one image are left out together, so the class is None as well where all of a class lie on one.
    """
    return [None if label == UNTRIED else cache.class_names[label] for label in read_by_others(cache)]
