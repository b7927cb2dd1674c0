"""What comes out: the prediction for one region, and its record as one line of JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mvrec_edge.runtime.heads import Neighbour
from mvrec_edge.runtime.regions import Region

__all__ = ["Prediction", "StageTimes"]


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
class Prediction:
    """The class of one region.

    Attributes:
        region: The region.
        label: The most probable class.
        probability: Its probability, 0 to 1.
        probabilities: The probability of every class, in the cache's order.
        nearest: The nearest support instances, the nearest first.
        views: Views that were used.
        milliseconds: Time spent on each stage.
    """

    region: Region
    label: str
    probability: float
    probabilities: dict[str, float]
    nearest: tuple[Neighbour, ...]
    views: int
    milliseconds: StageTimes

    def to_record(self) -> dict[str, Any]:
        """The prediction in plain JSON types; the fields are described in `docs/classify.md`.

        Probabilities and similarities are rounded to 6 decimals, milliseconds to 3: what is beyond is noise.
        """
        return {
            "source": self.region.source,
            "box": list(self.region.box),
            "area": self.region.area,
            "label": self.label,
            "probability": round(self.probability, 6),
            "probabilities": {name: round(value, 6) for name, value in self.probabilities.items()},
            "annotated": self.region.label,
            "nearest": [
                {"label": item.label, "source": item.source, "similarity": round(item.similarity, 6)}
                for item in self.nearest
            ],
            "views": self.views,
            "ms": {
                "crop": round(self.milliseconds.crop, 3),
                "encode": round(self.milliseconds.encode, 3),
                "classify": round(self.milliseconds.classify, 3),
            },
        }
