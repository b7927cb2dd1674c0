"""Whether the limit for review keeps what it promises: fitted to each draw's shots, tried on its queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.evaluation.intervals import wilson_interval
from mvrec_edge.calib.evaluation.protocol import Draw, EvaluationSet, Protocol, check_set, draw
from mvrec_edge.calib.fitting.head_fitting import fit_head
from mvrec_edge.calib.fitting.review_fitting import fit_review
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads import head_class, head_names, open_head
from mvrec_edge.runtime.support.right_rate import check_right_rate

__all__ = ["ReviewResult", "evaluate_review", "reviewable_heads"]


@dataclass(frozen=True)
class ReviewResult:
    """One head at one number of shots.

    Each tuple has an entry for each draw.

    Attributes:
        head: Its name.
        shots: Instances for each class.
        right_at_least: Wanted share of right answers among the queries that no human looks at.
        answers: Queries of the draw.
        decided: How many of them no human looks at.
        right: How many of those are right.
        wrong_looked_at: How many of the others would have been wrong.
        queries: Different queries that no human looks at in some draw; one that several draws decide counts once.
    """

    head: str
    shots: int
    right_at_least: float
    answers: tuple[int, ...]
    decided: tuple[int, ...]
    right: tuple[int, ...]
    wrong_looked_at: tuple[int, ...]
    queries: int

    @property
    def to_review(self) -> float:
        """Share of all answers that a human looks at, 0 to 1."""
        return 1 - sum(self.decided) / sum(self.answers)

    @property
    def accuracy(self) -> float:
        """Right answers among those that no human looks at, 0 to 1; NaN where a human looks at all."""
        return sum(self.right) / sum(self.decided) if any(self.decided) else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the accuracy, as wide as so many different queries make it; see `wilson_interval`."""
        return wilson_interval(self.accuracy * self.queries if self.queries else 0.0, self.queries)

    @property
    def kept(self) -> tuple[int, int]:
        """In how many draws the wanted share was kept, of those in which some queries went without a human."""
        pairs = [(right, decided) for right, decided in zip(self.right, self.decided, strict=True) if decided]
        return sum(right >= self.right_at_least * decided for right, decided in pairs), len(pairs)

    def to_dict(self) -> dict[str, Any]:
        """The result in plain JSON types."""
        kept, tried = self.kept
        return {
            "head": self.head,
            "shots": self.shots,
            "to_review": round(self.to_review, 6),
            "accuracy": None if not self.queries else round(self.accuracy, 6),
            "interval_95": None if not self.queries else [round(bound, 6) for bound in self.interval],
            "queries": self.queries,
            "draws_with_a_limit": tried,
            "draws_kept": kept,
            "draws": [
                {"answers": answers, "decided": decided, "right": right, "wrong_looked_at": wrong}
                for answers, decided, right, wrong in zip(
                    self.answers, self.decided, self.right, self.wrong_looked_at, strict=True
                )
            ],
        }


def reviewable_heads(protocol: Protocol) -> tuple[str, ...]:
    """Those heads of a protocol for which a limit can be fitted: a head that trains has learned from all instances.

    Raises:
        UsageError: There is none.
    """
    heads = tuple(name for name in protocol.heads if name not in head_names() or not head_class(name).trains)
    if not heads:
        raise UsageError(
            "--right-at-least needs a head that does not train, and there is none among --heads",
            fix="name one, such as --heads auto",
        )
    return heads


def evaluate_review(
    data: EvaluationSet,
    protocol: Protocol,
    right_at_least: float,
    progress: Callable[[int], None] = lambda _: None,
) -> list[ReviewResult]:
    """Fits head and limit to each draw, and counts what goes to a human and how often the rest is right.

    Instances are drawn as `evaluate_heads` draws them.

    Args:
        data: Labelled embeddings.
        protocol: Shots, draws and heads; heads that train are left out.
        right_at_least: Wanted share of right answers among the queries that no human looks at.
        progress: Called with 1 after each head of each draw.

    Returns:
        One result for each number of shots and head, in that order.

    Raises:
        UsageError: The share is outside 50% to 99.99%, or all heads train.
        SupportError: A class has fewer instances than shots, or there are fewer than two classes.
        InputError: There is no query, or an embedding is not finite.
    """
    check_set(data, protocol)
    check_right_rate(right_at_least)
    heads = reviewable_heads(protocol)
    results = []
    for shots in protocol.shots:
        draws = [draw(data, shots, seed, protocol.split) for seed in range(protocol.draws)]
        for head in heads:
            decided, right, wrong_looked_at = [], [], []
            places: set[int] = set()
            for each in draws:
                alone, correct = _tried(each, head, protocol, right_at_least)
                decided.append(int(alone.sum()))
                right.append(int((alone & correct).sum()))
                wrong_looked_at.append(int((~alone & ~correct).sum()))
                places.update(each.places[alone].tolist())
                progress(1)
            answers = tuple(len(each.labels) for each in draws)
            results.append(
                ReviewResult(
                    head,
                    shots,
                    right_at_least,
                    answers,
                    tuple(decided),
                    tuple(right),
                    tuple(wrong_looked_at),
                    len(places),
                )
            )
    return results


def _tried(
    each: Draw, name: str, protocol: Protocol, right_at_least: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which queries of a draw no human looks at, and which are right."""
    cache = fit_review(fit_head(each.cache, name, aggregate=protocol.aggregate).cache, right_at_least)
    probabilities = open_head(cache).probabilities(each.queries)
    said = probabilities.argmax(axis=1)
    looked_at = [
        cache.review is None or cache.review.wants_review(int(place), float(probability))
        for place, probability in zip(said, probabilities.max(axis=1), strict=True)
    ]
    return ~np.array(looked_at, np.bool_), said == each.labels
