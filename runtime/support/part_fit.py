"""What calibration fitted for each part of a support cache that holds several, and to tell the parts apart."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import SupportError
from mvrec_edge.runtime.support.head_settings import HeadSettings
from mvrec_edge.runtime.support.novelty_calibration import NoveltyCalibration
from mvrec_edge.runtime.support.review_limits import ReviewLimits
from mvrec_edge.runtime.views.schedule import ViewSchedule

__all__ = ["LONGEST_PART", "MOST_PARTS", "PartFit", "PartFits", "check_part_name", "check_parts", "titles"]

#: Characters of the name of a part, as of a label.
LONGEST_PART = 256
#: Parts of one cache.
MOST_PARTS = 256


@dataclass(frozen=True)
class PartFit:
    """What a support cache says of one part, and would say were it the cache of that part alone.

    Attributes:
        name: The part.
        head: Its head.
        schedule: Its order of views; None where none was fitted.
        novelty: How far its known defects lie from one another, float32 `[n]` over its own instances; None where
            calibration did not measure it.
        shots: Instances drawn for each of its classes; None where all were used.
        seed: Seed of the draw; None where all were used.
        region_input: What the regions of its instances were; empty where it is not known.
        review: Below which probability a human looks at its regions; None where calibration did not say.
    """

    name: str
    head: HeadSettings
    schedule: ViewSchedule | None = None
    novelty: NoveltyCalibration | None = field(default=None, compare=False)
    shots: int | None = None
    seed: int | None = None
    region_input: str = ""
    review: ReviewLimits | None = None

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types, but for what was measured of its instances (`part_records`)."""
        described: dict[str, Any] = {
            "name": self.name,
            "head": self.head.to_dict(),
            "shots": self.shots,
            "seed": self.seed,
        }
        if self.schedule is not None:
            described["schedule"] = self.schedule.to_dict()
        if self.region_input:
            described["region_input"] = self.region_input
        if self.review is not None:
            described["review"] = self.review.to_dict()
        return described


@dataclass(frozen=True)
class PartFits:
    """What was fitted for the parts of a cache.

    Attributes:
        parts: One for each part, in the order of the parts.
        head: The head that tells the parts apart, as if each were a class (`parts_as_classes`).
    """

    parts: tuple[PartFit, ...]
    head: HeadSettings

    @property
    def names(self) -> tuple[str, ...]:
        """The parts."""
        return tuple(each.name for each in self.parts)

    def codes(self, parts: tuple[str, ...]) -> npt.NDArray[np.int64]:
        """Which of the parts each instance is of, int64 `[NK]`; -1 for one that is not there."""
        places = {name: place for place, name in enumerate(self.names)}
        return np.array([places.get(part, -1) for part in parts], np.int64)

    def of(self, name: str) -> PartFit:
        """What was fitted for a part.

        Raises:
            SupportError: There is no such part.
        """
        for each in self.parts:
            if each.name == name:
                return each
        raise SupportError(f"there is no part '{name}'", fix=f"it has {', '.join(self.names)}")

    def without_novelty(self) -> PartFits:
        """The same for other instances, of which nothing was measured."""
        parts = tuple(dataclasses.replace(each, schedule=None, novelty=None, review=None) for each in self.parts)
        return dataclasses.replace(self, parts=parts)


def check_part_name(name: str) -> None:
    """Refuses a name that no part can have.

    Raises:
        SupportError: It is empty, too long, or has a slash, which stands between part and class.
    """
    if not name.strip() or len(name) > LONGEST_PART or "/" in name:
        raise SupportError(
            f"'{name[:40]}' cannot be the name of a part",
            fix=f"give a name of 1 to {LONGEST_PART} characters without a slash",
        )


def check_parts(
    parts: tuple[str, ...], fits: PartFits | None, class_names: tuple[str, ...], labels: npt.NDArray[np.integer]
) -> tuple[str, ...]:
    """Checks the parts of a cache.

    Args:
        parts: The part of each instance; `()` for a cache without parts.
        fits: What was fitted for them.
        class_names: The classes; two parts may have one of the same name.
        labels: int `[NK]`, indices into `class_names`.

    Returns:
        The part of each class; `()` for a cache without parts.

    Raises:
        SupportError: A part is missing, a class belongs to two of them, or what was fitted is that of others.
    """
    if not parts and fits is None:
        return ()
    if fits is None or len(parts) != len(labels) or not all(parts):
        raise SupportError(
            "some instances have a part and others have none", fix="give the others a part: support merge --part NAME"
        )
    for name in fits.names:
        check_part_name(name)
    if len(fits.names) > MOST_PARTS or len(set(fits.names)) != len(fits.names) or set(fits.names) != set(parts):
        raise SupportError("the parts of the instances are not those that were calibrated")
    of_classes: dict[int, str] = {}
    for part, label in zip(parts, labels.tolist(), strict=True):
        if of_classes.setdefault(label, part) != part:
            raise SupportError(f"the class '{class_names[label]}' belongs to two parts")
    return tuple(of_classes[label] for label in range(len(class_names)))


def titles(class_names: tuple[str, ...], class_parts: tuple[str, ...]) -> tuple[str, ...]:
    """What tells each class from all others: its name, or `PART/CLASS` in a cache of several parts."""
    if not class_parts:
        return class_names
    return tuple(f"{part}/{name}" for part, name in zip(class_parts, class_names, strict=True))
