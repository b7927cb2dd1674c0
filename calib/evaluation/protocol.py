"""The paper's protocol: few shots drawn several times, every query classified each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.fine_tuning.training import FineTuning
from mvrec_edge.calib.fitting.head_fitting import check_head, fit_head
from mvrec_edge.calib.instances.sampling import sample_shots
from mvrec_edge.calib.setting_checks import check_integer
from mvrec_edge.runtime.errors import InputError, SupportError, UsageError
from mvrec_edge.runtime.heads import open_head
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["Draw", "EvaluationSet", "HeadResult", "Protocol", "check_counts", "check_set", "draw", "evaluate_heads"]


@dataclass(frozen=True)
class EvaluationSet:
    """Labelled embeddings to evaluate on.

    Attributes:
        class_names: The N classes.
        support: float `[S, V, C]`, what shots are drawn from.
        support_labels: int64 `[S]`.
        query: float `[Q, V, C]`, what is classified; None to classify all support instances that were not drawn.
        query_labels: int64 `[Q]`, or None.
    """

    class_names: tuple[str, ...]
    support: npt.NDArray[np.floating]
    support_labels: npt.NDArray[np.int64]
    query: npt.NDArray[np.floating] | None = None
    query_labels: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Protocol:
    """How often, and with how much.

    Attributes:
        shots: Numbers of instances for each class.
        draws: Draws for each number; their seeds are 0, 1, ...
        heads: Names of heads, as `fit_head` takes them.
        tuning: How `zip-f` is trained.
        aggregate: How the views become one decision, for heads that are named; by default each head's own.

    Raises:
        UsageError: The protocol is empty, asks for an unknown head, or names an aggregation for `auto`.
    """

    shots: tuple[int, ...] = (1, 3, 5)
    draws: int = 5
    heads: tuple[str, ...] = ("auto", "zip", "zip-c", "zip-f")
    tuning: FineTuning = field(default_factory=FineTuning)
    aggregate: str | None = None

    def __post_init__(self) -> None:
        for what, whole in (
            *(("a number of shots", shots) for shots in self.shots),
            ("the number of draws", self.draws),
        ):
            check_integer(what, whole)
        if not self.shots or self.draws < 1 or not self.heads:
            raise UsageError("an evaluation needs at least one number of shots, one draw and one head")
        if min(self.shots) < 1:
            raise UsageError(f"at least 1 shot is needed, not {min(self.shots)}")
        for name in self.heads:
            check_head(name, aggregate=self.aggregate)


@dataclass(frozen=True)
class HeadResult:
    """One head at one number of shots.

    Attributes:
        head: Its name.
        shots: Instances for each class.
        accuracies: Share of the queries classified rightly in each draw, 0 to 1.
        confusion: int64 `[N, N]`, summed over draws: rows are the true classes, columns the predicted.
        chosen: The parameters of each draw, in words.
    """

    head: str
    shots: int
    accuracies: tuple[float, ...]
    confusion: npt.NDArray[np.int64]
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
        """Share of each class's queries classified rightly, float64 `[N]`; NaN for a class without queries."""
        totals = self.confusion.sum(axis=1)
        shares = np.full(len(totals), np.nan)
        np.divide(np.diag(self.confusion), totals, out=shares, where=totals > 0)
        return shares

    def to_dict(self, class_names: Sequence[str]) -> dict[str, Any]:
        """The result in plain JSON types."""
        shares = (None if np.isnan(share) else round(float(share), 6) for share in self.per_class)
        return {
            "head": self.head,
            "shots": self.shots,
            "accuracy": round(self.mean, 6),
            "spread": round(self.spread, 6),
            "draws": [round(value, 6) for value in self.accuracies],
            "per_class": dict(zip(class_names, shares, strict=True)),
            "confusion": self.confusion.tolist(),
            "chosen": list(self.chosen),
        }


def evaluate_heads(
    data: EvaluationSet, protocol: Protocol, progress: Callable[[int], None] = lambda _: None
) -> list[HeadResult]:
    """Evaluates heads by the paper's protocol.

    For each number of shots and each seed, instances are drawn by the released protocol (`sample_shots`), each head is
    fitted on them alone, and every query is classified.

    Args:
        data: Labelled embeddings.
        protocol: Shots, draws and heads.
        progress: Called with 1 after each head of each draw.

    Returns:
        One result for each number of shots and head, in that order.

    Raises:
        SupportError: A class has fewer instances than shots, or there are fewer than two classes.
        InputError: There is no query, or an embedding is not finite.
    """
    check_set(data, protocol)
    results = []
    for shots in protocol.shots:
        draws = [draw(data, shots, seed) for seed in range(protocol.draws)]
        for head in protocol.heads:
            accuracies, chosen = [], []
            confusion = np.zeros((len(data.class_names),) * 2, np.int64)
            for each in draws:
                fit = fit_head(each.cache, head, aggregate=protocol.aggregate, tuning=protocol.tuning)
                predicted = open_head(fit.cache).logits(each.queries).argmax(axis=1)
                accuracies.append(float((predicted == each.labels).mean()))
                np.add.at(confusion, (each.labels, predicted), 1)
                settings = fit.cache.head
                chosen.append(f"{settings.name}, beta {settings.beta:g}, {settings.aggregate}")
                progress(1)
            results.append(HeadResult(head, shots, tuple(accuracies), confusion, tuple(chosen)))
    return results


@dataclass(frozen=True)
class Draw:
    """One draw of shots, and what is classified against it.

    Attributes:
        cache: The instances drawn, without a head fitted.
        drawn: Places of those instances in the support, int64 `[K]`.
        places: Places of the queries, in the query set where there is one and else in the support, int64 `[Q]`.
        queries: float `[Q, V, C]`.
        labels: int64 `[Q]`.
    """

    cache: SupportCache
    drawn: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    queries: npt.NDArray[np.floating]
    labels: npt.NDArray[np.int64]


def draw(data: EvaluationSet, shots: int, seed: int) -> Draw:
    """Draws shots by the released protocol; what is left, or the query set, is to be classified.

    Args:
        data: Labelled embeddings.
        shots: Instances of each class.
        seed: Seed of the draw.
    """
    drawn = np.asarray(sample_shots(data.support_labels.tolist(), shots, seed), np.int64)
    cache = SupportCache.from_embeddings(
        data.support[drawn], data.support_labels[drawn], data.class_names, shots=shots, seed=seed
    )
    if data.query is not None and data.query_labels is not None:
        return Draw(cache, drawn, np.arange(len(data.query)), data.query, data.query_labels)
    rest = np.setdiff1d(np.arange(len(data.support_labels)), drawn)
    return Draw(cache, drawn, rest, data.support[rest], data.support_labels[rest])


def check_counts(counts: Mapping[str, int], shots: int) -> None:
    """Refuses classes that shots cannot be drawn from.

    Args:
        counts: Instances of each class.
        shots: The most that will be drawn of each.

    Raises:
        SupportError: There are fewer than two classes, or a class has fewer instances.
    """
    if len(counts) < 2:
        raise SupportError(
            "there are fewer than two classes to tell apart", fix="add labelled instances of another class"
        )
    for name, count in counts.items():
        if count < shots:
            raise SupportError(
                f"the class '{name}' has {count} instances, fewer than {shots} shots",
                fix="ask for fewer shots, or leave the class out",
            )


def check_set(data: EvaluationSet, protocol: Protocol) -> None:
    """Refuses what the protocol cannot be run on.

    Raises:
        SupportError: A class has fewer instances than shots, or there are fewer than two classes.
        InputError: There is no query, or an embedding is not finite.
    """
    counts = np.bincount(data.support_labels, minlength=len(data.class_names))
    most = max(protocol.shots)
    check_counts(dict(zip(data.class_names, (int(count) for count in counts), strict=True)), most)
    if data.query is None and int((counts - most).sum()) == 0:
        raise InputError("every instance would be drawn, so none is left to classify", fix="give queries of their own")
    if data.query is not None and not len(data.query):
        raise InputError("there is no query to classify", fix="check the query source")
    for values in (data.support, data.query):
        if values is not None and not np.isfinite(values).all():
            raise InputError("an embedding holds a value that is not finite", fix="check the features file")
