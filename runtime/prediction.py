"""What comes out: the prediction for one region, and its record as one line of JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads import Neighbour
from mvrec_edge.runtime.regions import Region

__all__ = ["UNKNOWN", "Prediction", "Recentred", "StageTimes"]

#: The label of a region that counts as unknown.
UNKNOWN = "unknown"


@dataclass(frozen=True)
class StageTimes:
    """Milliseconds spent on one region.

    Attributes:
        crop: Cutting its views.
        encode: Its share of the engine's batches.
        classify: Its share of the head's work.
    """

    crop: float
    encode: float
    classify: float

    @property
    def total(self) -> float:
        """All stages together, in milliseconds."""
        return self.crop + self.encode + self.classify


@dataclass(frozen=True)
class Recentred:
    """What a centre that follows the line has done to a prediction.

    Attributes:
        moved: How far the centre was from that of the support, in standard deviations of the class means.
        fixed_class: The most probable class about the centre of the support.
    """

    moved: float
    fixed_class: str


@dataclass(frozen=True)
class Prediction:
    """The class of one region.

    Attributes:
        region: The region.
        label: The most probable class, or `"unknown"` where `unknown` is true.
        probability: The probability of the most probable class, 0 to 1.
        probabilities: The probability of every class, in the cache's order.
        nearest: The nearest support instances, the nearest first.
        views: Views that were used.
        milliseconds: Time spent on each stage.
        stopped: Why no more views were used: `"all"` were; the decision was `"settled"`; the number was `"fixed"`; the
            `"budget"` was spent.
        change_risk: Probability that all views would say another class, 0 to 1; 0 where all were used.
        nearest_class: The most probable class, whether the region counts as unknown or not.
        novelty: How unlike all known classes the region is (`docs/unknown.md`); None where calibration did not say.
        unknown: Whether it counts as unknown; None where no false-reject rate was asked for.
        review: Whether a human looks at it, since it is not certain enough or unknown (`docs/review.md`); None where no
            limit was calibrated.
        cache: Digest of the support cache that it was compared with; not in the record of the prediction alone, as it
            is the same for all until a cache is loaded again.
        part: The part of the support that it was classified by; None where the cache has none.
        part_given: Whether that part was given, and not chosen by the embedding.
        part_probability: How probable the embedding makes this part, 0 to 1, given or not.
        embedding: float32 `[C]`, the mean over its views, for the map of a report; not in the record.
        recentred: Where the centre was, where it follows the line; else None, and not in the record.
    """

    region: Region
    label: str
    probability: float
    probabilities: dict[str, float]
    nearest: tuple[Neighbour, ...]
    views: int
    milliseconds: StageTimes
    stopped: str = "all"
    change_risk: float = 0.0
    nearest_class: str = ""
    novelty: float | None = None
    unknown: bool | None = None
    review: bool | None = None
    cache: str = ""
    part: str | None = None
    part_given: bool | None = None
    part_probability: float | None = None
    embedding: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    recentred: Recentred | None = None

    def __post_init__(self) -> None:
        if not self.nearest_class:
            object.__setattr__(self, "nearest_class", self.label)

    def to_record(self) -> dict[str, Any]:
        """The prediction in plain JSON types; the fields are described in `docs/classify.md`.

        Probabilities, similarities and novelty are rounded to 6 decimals, milliseconds to 3: what is beyond is noise.
        """
        # Absent where the cache has no parts, so that such a record is the same as one of an earlier version.
        of_part = (
            {}
            if self.part is None
            else {
                "part": self.part,
                "part_given": self.part_given,
                "part_probability": None if self.part_probability is None else round(self.part_probability, 6),
            }
        )
        recentred = {}
        if self.recentred is not None:
            moved = round(self.recentred.moved, 6)
            recentred = {"recentred": {"moved": moved, "fixed_class": self.recentred.fixed_class}}
        return {
            "source": self.region.source,
            "box": list(self.region.box),
            "area": self.region.area,
            "label": self.label,
            "probability": round(self.probability, 6),
            "nearest_class": self.nearest_class,
            "novelty": None if self.novelty is None else round(self.novelty, 6),
            "unknown": self.unknown,
            # Left out where there is none, so that such a record is the same as one of an earlier version.
            **({} if self.review is None else {"review": self.review}),
            **of_part,
            **recentred,
            "probabilities": {name: round(value, 6) for name, value in self.probabilities.items()},
            "annotated": self.region.label,
            "nearest": [
                {"label": item.label, "source": item.source, "similarity": round(item.similarity, 6)}
                for item in self.nearest
            ],
            "views": self.views,
            "stopped": self.stopped,
            "change_risk": round(self.change_risk, 6),
            "ms": {
                "crop": round(self.milliseconds.crop, 3),
                "encode": round(self.milliseconds.encode, 3),
                "classify": round(self.milliseconds.classify, 3),
            },
        }
