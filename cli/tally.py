"""Counts of a run, or of a whole results file, in the words of the closing lines of `classify`."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field

from mvrec_edge.runtime.prediction import UNKNOWN
from mvrec_edge.runtime.wording import counted

__all__ = ["Tally", "class_title"]

_MOST_CLASSES = 20


@dataclass
class Tally:
    """Regions, and the images they are on.

    Attributes:
        images: All images, also those that failed or show no defect.
        regions: Regions that were classified.
        unknown: How many of them are like no class.
        classes: How many of the others are of each class.
        judged: Regions of which it is said whether a human looks at them.
        review: How many of these a human looks at.
    """

    images: set[str] = field(default_factory=set)
    regions: int = 0
    unknown: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    review: int = 0
    _with_regions: set[str] = field(default_factory=set)

    def add_region(self, image: str, label: str, *, unknown: bool, review: bool | None = None) -> None:
        """Counts a region of an image that was classified as `label`, or as like no class.

        Args:
            image: The image.
            label: The class.
            unknown: Whether the region is like no class.
            review: Whether a human looks at it; None where that is not said.
        """
        self.images.add(image)
        self._with_regions.add(image)
        self.regions += 1
        if unknown:
            self.unknown += 1
        else:
            self.classes[label] += 1
        if review is not None:
            self.judged += 1
            self.review += review

    def copy(self) -> Tally:
        """Another one that begins with the same counts."""
        return copy.deepcopy(self)

    def places(self) -> str:
        """Such as `4 regions on 3 images`, or `4 regions on 3 of 5 images` where two have no region."""
        of = len(self.images)
        on = counted(of, "image") if len(self._with_regions) == of else f"{len(self._with_regions)} of {of} images"
        return f"{counted(self.regions, 'region')} on {on}"

    def ranked(self) -> str:
        """Regions of each class, the most frequent first, and of none."""
        ranked = self.classes.most_common()
        parts = [f"{_named(name)} {count}" for name, count in ranked[:_MOST_CLASSES]]
        if rest := ranked[_MOST_CLASSES:]:
            parts.append(f"{counted(len(rest), 'other class')} {sum(count for _, count in rest)}")
        if self.unknown:
            parts.append(f"{UNKNOWN} {self.unknown}")
        return ", ".join(parts)

    def for_review(self) -> str:
        """Such as `; to be looked at by a human: 12 of 220 (5.5%)`; empty where that is said of no region.

        Where it is not said of some, as with parts of which one has no limit, their number follows.
        """
        if not self.judged:
            return ""
        share = 100 * self.review / self.judged
        text = f"; to be looked at by a human: {self.review} of {self.judged} ({share:.1f}%)"
        if rest := self.regions - self.judged:
            text += f", and {counted(rest, 'other region')} without a limit"
        return text


def class_title(part: object, label: str, *, unknown: bool) -> str:
    """A class as lines and tables name it: `PART/CLASS` where there are parts; what is like no class has none."""
    return f"{part}/{label}" if isinstance(part, str) and not unknown else label


def _named(label: str) -> str:
    # A class may bear that name as well.
    return f"the class {UNKNOWN}" if label == UNKNOWN else label
