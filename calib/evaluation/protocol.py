"""The paper's protocol: few shots drawn several times, every query classified each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.evaluation.head_result import HeadResult
from mvrec_edge.calib.evaluation.splitting import KnownPlaces, check_queries, check_split, split_places
from mvrec_edge.calib.fine_tuning.training import FineTuning
from mvrec_edge.calib.fitting.head_fitting import check_head, fit_head
from mvrec_edge.calib.setting_checks import check_integer
from mvrec_edge.runtime.errors import InputError, SupportError, UsageError
from mvrec_edge.runtime.heads import open_head
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.wording import counted

__all__ = ["Draw", "EvaluationSet", "Protocol", "check_counts", "check_set", "draw", "evaluate_heads"]


@dataclass(frozen=True)
class EvaluationSet:
    """Labelled embeddings to evaluate on.

    Attributes:
        class_names: The N classes.
        support: float `[S, V, C]`, what shots are drawn from.
        support_labels: int64 `[S]`.
        query: float `[Q, V, C]`, what is classified; None to classify all support instances that were not drawn.
        query_labels: int64 `[Q]`, or None.
        support_images: int64 `[S]`, equal for instances of one image; None where images are not known.
        query_images: int64 `[Q]`, numbered as those of the support; None where there is no query or images are not
            known.
        support_regions: int64 `[S]`, equal for one region of one image; None where regions are not known.
        query_regions: int64 `[Q]`, numbered as those of the support; None where there is no query or none is known.
    """

    class_names: tuple[str, ...]
    support: npt.NDArray[np.floating]
    support_labels: npt.NDArray[np.int64]
    query: npt.NDArray[np.floating] | None = None
    query_labels: npt.NDArray[np.int64] | None = None
    support_images: npt.NDArray[np.int64] | None = None
    query_images: npt.NDArray[np.int64] | None = None
    support_regions: npt.NDArray[np.int64] | None = None
    query_regions: npt.NDArray[np.int64] | None = None

    @property
    def places(self) -> KnownPlaces:
        """Labels and images alone."""
        return KnownPlaces(
            self.support_labels,
            self.query_labels,
            self.support_images,
            self.query_images,
            self.support_regions,
            self.query_regions,
        )


@dataclass(frozen=True)
class Protocol:
    """How often, and with how much.

    Attributes:
        shots: Numbers of instances for each class.
        draws: Draws for each number; their seeds are 0, 1, ...
        heads: Names of heads, as `fit_head` takes them.
        tuning: How `zip-f` is trained.
        aggregate: How the views become one decision, for heads that are named; by default each head's own.
        split: `"region"` draws single instances, as the paper does; `"image"` keeps the instances of one image on one
            side.

    Raises:
        UsageError: The protocol is empty, asks for an unknown head or split, or names an aggregation for `auto`.
    """

    shots: tuple[int, ...] = (1, 3, 5)
    draws: int = 5
    heads: tuple[str, ...] = ("auto", "zip", "zip-c", "zip-f")
    tuning: FineTuning = field(default_factory=FineTuning)
    aggregate: str | None = None
    split: str = "region"

    def __post_init__(self) -> None:
        check_split(self.split)
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


def evaluate_heads(
    data: EvaluationSet, protocol: Protocol, progress: Callable[[int], None] = lambda _: None
) -> list[HeadResult]:
    """Evaluates heads by the paper's protocol.

    For each number of shots and each seed, instances are drawn (`split_places`), each head is
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
    labelled = np.bincount(data.support_labels, minlength=len(data.class_names))
    for shots in protocol.shots:
        draws = [draw(data, shots, seed, protocol.split) for seed in range(protocol.draws)]
        queries = _distinct_queries(draws, len(data.class_names))
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
            results.append(HeadResult(head, shots, tuple(accuracies), confusion, queries, labelled, tuple(chosen)))
    return results


def _distinct_queries(draws: Sequence[Draw], classes: int) -> npt.NDArray[np.int64]:
    """Queries of each class, int64 `[N]`; one that several draws classify counts once."""
    pairs = np.concatenate([np.stack([each.labels, each.places], axis=1) for each in draws])
    return np.bincount(np.unique(pairs, axis=0)[:, 0], minlength=classes).astype(np.int64)


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


def draw(data: EvaluationSet, shots: int, seed: int, split: str = "region") -> Draw:
    """Draws shots; what is left, or the query set, is to be classified.

    Args:
        data: Labelled embeddings.
        shots: Instances of each class.
        seed: Seed of the draw.
        split: How they are drawn; see `split_places`.

    Raises:
        UsageError: See `split_places`.
    """
    places = split_places(data.places, shots, seed, split)
    images = () if data.support_images is None else [str(image) for image in data.support_images[places.drawn]]
    cache = SupportCache.from_embeddings(
        data.support[places.drawn],
        data.support_labels[places.drawn],
        data.class_names,
        images=images,
        shots=shots,
        seed=seed,
    )
    queries = data.support if data.query is None else data.query
    # All queries of a set of their own are not copied for each draw.
    chosen = queries if len(places.queries) == len(queries) else queries[places.queries]
    return Draw(cache, places.drawn, places.queries, chosen, places.labels)


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
                f"the class '{name}' has {counted(count, 'instance')}, fewer than {counted(shots, 'shot')}",
                fix="ask for fewer shots, or leave the class out",
            )


def check_set(data: EvaluationSet, protocol: Protocol) -> None:
    """Refuses what the protocol cannot be run on.

    Raises:
        SupportError: A class has fewer instances than shots, or there are fewer than two classes.
        InputError: There is no query, or an embedding is not finite.
        UsageError: Images are to be drawn, and are not known.
    """
    counts = np.bincount(data.support_labels, minlength=len(data.class_names))
    most = max(protocol.shots)
    check_counts(dict(zip(data.class_names, (int(count) for count in counts), strict=True)), most)
    if data.query is None and int((counts - most).sum()) == 0:
        raise InputError("every instance would be drawn, so none is left to classify", fix="give queries of their own")
    if data.query is not None and not len(data.query):
        raise InputError("there is no query to classify", fix="check the query source")
    check_queries(data.places, protocol.shots, protocol.draws, protocol.split, ())
    for values in (data.support, data.query):
        if values is not None and not np.isfinite(values).all():
            raise InputError("an embedding holds a value that is not finite", fix="check the features file")
