"""What an evaluation found of one head at one number of shots, with the queries that stand behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.evaluation.answers import Answers
from mvrec_edge.calib.evaluation.intervals import wilson_interval
from mvrec_edge.calib.evaluation.probability_measures import ProbabilityMeasures, measure_probabilities
from mvrec_edge.calib.evaluation.shot_counts import Shots
from mvrec_edge.calib.evaluation.standard_errors import error_over_draws, error_over_queries

__all__ = ["ClassResult", "Confused", "HeadResult"]


@dataclass(frozen=True)
class ClassResult:
    """One class, or all together.

    Attributes:
        labelled: Instances that shots are drawn from.
        queries: Different queries; one that several draws classify counts once.
        answers: Answers to these queries over all draws; each draw answers each of its queries once.
        right: Answers that are right, 0 to `answers`.
    """

    labelled: int
    queries: int
    answers: int
    right: int

    @property
    def accuracy(self) -> float:
        """Right answers divided by answers, 0 to 1; NaN without answers."""
        return self.right / self.answers if self.answers else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the accuracy; see `wilson_interval`.

        It is as wide as so many different queries make it. The draws repeat the same queries, so their answers are not
        so many independent trials.
        """
        return wilson_interval(self.accuracy * self.queries if self.answers else 0.0, self.queries)

    def to_dict(self) -> dict[str, Any]:
        """In plain JSON types."""
        return {
            "labelled": self.labelled,
            "queries": self.queries,
            "answers": self.answers,
            "right": self.right,
            "accuracy": None if not self.answers else round(self.accuracy, 6),
            "interval_95": None if not self.answers else [round(bound, 6) for bound in self.interval],
        }


@dataclass(frozen=True)
class Confused:
    """A class that is read as another.

    Attributes:
        label: Index of the true class.
        read_as: Index of the class that it is read as.
        wrong: Answers of this kind, over all draws.
        answers: All answers to queries of the true class, over all draws.
    """

    label: int
    read_as: int
    wrong: int
    answers: int


@dataclass(frozen=True)
class HeadResult:
    """One head at one number of shots.

    Attributes:
        head: Its name.
        shots: Instances for each class, or the range that each class's own number was drawn from.
        answers: What it answered to each query in each draw.
        labelled: int64 `[N]`, instances of each class that shots are drawn from.
        chosen: The parameters of each draw, in words.
    """

    head: str
    shots: Shots
    answers: Answers
    labelled: npt.NDArray[np.int64]
    chosen: tuple[str, ...]

    @cached_property
    def accuracies(self) -> tuple[float, ...]:
        """Share of the queries classified rightly in each draw, 0 to 1."""
        asked, right = (each.sum(axis=1) for each in (self.answers.asked, self.answers.right))
        return tuple((right / asked).tolist())

    @cached_property
    def confusion(self) -> npt.NDArray[np.int64]:
        """int64 `[N, N]`, summed over draws: rows are the true classes, columns the predicted."""
        draws, queries = np.nonzero(self.answers.asked)
        confusion = np.zeros((len(self.labelled),) * 2, np.int64)
        np.add.at(confusion, (self.answers.labels[queries], self.answers.predicted[draws, queries]), 1)
        return confusion

    @cached_property
    def queries(self) -> npt.NDArray[np.int64]:
        """int64 `[N]`, queries of each class; one that several draws classify counts once."""
        asked = self.answers.labels[self.answers.asked.any(axis=0)]
        return np.bincount(asked, minlength=len(self.labelled)).astype(np.int64)

    @cached_property
    def over_draws(self) -> float:
        """Standard error of `mean` over draws, 0 to 1; see `error_over_draws`. NaN for a single draw."""
        return error_over_draws(self.accuracies)

    @cached_property
    def over_queries(self) -> float:
        """Standard error of `mean` over queries, clustered by image, 0 to 1; see `error_over_queries`.

        NaN where all queries are on one image.
        """
        return error_over_queries(self.answers.right, self.answers.weights, self.answers.images)

    @cached_property
    def probabilities(self) -> ProbabilityMeasures:
        """What its probabilities are worth; computed when it is asked for."""
        return measure_probabilities(self.answers)

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
        """Each class, with its queries and answers."""
        counts = (self.labelled, self.queries, self.confusion.sum(axis=1), np.diag(self.confusion))
        return tuple(ClassResult(*row) for row in zip(*(each.tolist() for each in counts), strict=True))

    @property
    def overall(self) -> ClassResult:
        """All classes together: the sum of `classes`.

        Its accuracy is `mean`, unless draws have different numbers of queries: each draw then weighs alike in `mean`,
        and each answer alike here.
        """
        counts = (self.labelled, self.queries, self.confusion, np.diag(self.confusion))
        return ClassResult(*(int(each.sum()) for each in counts))

    def most_confused(self, most: int = 3) -> list[Confused]:
        """The pairs of classes with the most wrong answers, the most first.

        Args:
            most: Pairs of classes at most.
        """
        answers = self.confusion.sum(axis=1)
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        pairs = (divmod(int(place), len(wrong)) for place in order)
        return [
            Confused(label, other, int(wrong[label, other]), int(answers[label]))
            for label, other in pairs
            if wrong[label, other] > 0
        ]

    def to_dict(self, class_names: Sequence[str]) -> dict[str, Any]:
        """The result in plain JSON types."""
        return {
            "head": self.head,
            "shots": self.shots if isinstance(self.shots, int) else str(self.shots),
            "accuracy": round(self.mean, 6),
            "spread": round(self.spread, 6),
            "standard_error_draws": None if math.isnan(self.over_draws) else round(self.over_draws, 6),
            "standard_error_queries": None if math.isnan(self.over_queries) else round(self.over_queries, 6),
            "draws": [round(value, 6) for value in self.accuracies],
            "queries": int(self.queries.sum()),
            "all": self.overall.to_dict(),
            "per_class": {name: each.to_dict() for name, each in zip(class_names, self.classes, strict=True)},
            "probabilities": self.probabilities.to_dict(),
            "confusion": self.confusion.tolist(),
            "chosen": list(self.chosen),
        }
