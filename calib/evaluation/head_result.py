"""What an evaluation found of one head at one number of shots, with the queries that stand behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.evaluation.intervals import wilson_interval

__all__ = ["ClassResult", "Confused", "HeadResult"]


@dataclass(frozen=True)
class ClassResult:
    """One class, or all together.

    Attributes:
        labelled: Instances that shots are drawn from.
        queries: Queries; one that several draws classify counts once.
        accuracy: Share of the answers that are right, over all draws, 0 to 1; NaN without queries.
    """

    labelled: int
    queries: int
    accuracy: float

    @property
    def right(self) -> float:
        """Queries classified rightly, as the mean over the draws; 0 to `queries`."""
        return 0.0 if not self.queries else self.accuracy * self.queries

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the accuracy that so many queries give; see `wilson_interval`."""
        return wilson_interval(self.right, self.queries)

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types."""
        return {
            "labelled": self.labelled,
            "queries": self.queries,
            "right": round(self.right, 3),
            "accuracy": None if not self.queries else round(self.accuracy, 6),
            "interval_95": None if not self.queries else [round(bound, 6) for bound in self.interval],
        }


@dataclass(frozen=True)
class Confused:
    """A class that is taken for another.

    Attributes:
        label: Index of the true class.
        taken_for: Index of the class it is taken for.
        queries: Of its queries, how many, as the mean over the draws.
    """

    label: int
    taken_for: int
    queries: float


@dataclass(frozen=True)
class HeadResult:
    """One head at one number of shots.

    Attributes:
        head: Its name.
        shots: Instances for each class.
        accuracies: Share of the queries classified rightly in each draw, 0 to 1.
        confusion: int64 `[N, N]`, summed over draws: rows are the true classes, columns the predicted.
        queries: int64 `[N]`, queries of each class; one that several draws classify counts once.
        labelled: int64 `[N]`, instances of each class that shots are drawn from.
        chosen: The parameters of each draw, in words.
    """

    head: str
    shots: int
    accuracies: tuple[float, ...]
    confusion: npt.NDArray[np.int64]
    queries: npt.NDArray[np.int64]
    labelled: npt.NDArray[np.int64]
    chosen: tuple[str, ...]

    @property
    def mean(self) -> float:
        """Mean accuracy over the draws."""
        return float(np.mean(self.accuracies))

    @property
    def spread(self) -> float:
        """Standard deviation of the accuracy over the draws."""
        return float(np.std(self.accuracies))

    @property
    def per_class(self) -> npt.NDArray[np.float64]:
        """Share of each class's answers that are right, float64 `[N]`; NaN for a class without queries."""
        totals = self.confusion.sum(axis=1)
        shares = np.full(len(totals), np.nan)
        np.divide(np.diag(self.confusion), totals, out=shares, where=totals > 0)
        return shares

    @property
    def classes(self) -> tuple[ClassResult, ...]:
        """Each class, with its queries."""
        rows = zip(self.labelled.tolist(), self.queries.tolist(), self.per_class.tolist(), strict=True)
        return tuple(ClassResult(labelled, queries, accuracy) for labelled, queries, accuracy in rows)

    @property
    def overall(self) -> ClassResult:
        """All classes together, at the mean accuracy over the draws."""
        return ClassResult(int(self.labelled.sum()), int(self.queries.sum()), self.mean)

    def most_confused(self, most: int = 3) -> list[Confused]:
        """The classes that are most often taken for others, the most queries first.

        Args:
            most: Pairs of classes at most.
        """
        totals = np.maximum(self.confusion.sum(axis=1, keepdims=True), 1)
        taken = self.confusion / totals * self.queries[:, None]
        np.fill_diagonal(taken, 0.0)
        order = np.argsort(-taken, axis=None, kind="stable")[:most]
        pairs = (divmod(int(place), len(taken)) for place in order)
        return [Confused(label, other, float(taken[label, other])) for label, other in pairs if taken[label, other] > 0]

    def to_dict(self, class_names: Sequence[str]) -> dict[str, Any]:
        """The result in plain JSON types."""
        return {
            "head": self.head,
            "shots": self.shots,
            "accuracy": round(self.mean, 6),
            "spread": round(self.spread, 6),
            "draws": [round(value, 6) for value in self.accuracies],
            "queries": int(self.queries.sum()),
            "interval_95": [round(bound, 6) for bound in self.overall.interval],
            "per_class": {name: each.to_dict() for name, each in zip(class_names, self.classes, strict=True)},
            "confusion": self.confusion.tolist(),
            "chosen": list(self.chosen),
        }
