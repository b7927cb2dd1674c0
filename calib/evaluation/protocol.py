"""The paper's protocol: few shots drawn several times, every query classified each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.evaluation.answers import Answers
from mvrec_edge.calib.evaluation.head_result import HeadResult
from mvrec_edge.calib.evaluation.shot_counts import ShotRange, Shots, in_order, most_shots
from mvrec_edge.calib.evaluation.splitting import (
    KnownPlaces,
    check_queries,
    check_split,
    no_queries_to_exchange,
    split_places,
)
from mvrec_edge.calib.fine_tuning.training import FineTuning
from mvrec_edge.calib.fitting.head_fitting import check_head, fit_head
from mvrec_edge.calib.setting_checks import check_integer
from mvrec_edge.runtime.errors import InputError, SupportError, UsageError
from mvrec_edge.runtime.heads import head_class, head_names, open_head
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.wording import counted

__all__ = [
    "Draw",
    "EvaluationSet",
    "Protocol",
    "check_counts",
    "check_set",
    "draw",
    "evaluate_heads",
]


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

    def exchanged(self) -> EvaluationSet:
        """The other direction: what were queries is what shots are drawn from, and the other way round.

        Raises:
            UsageError: There are no queries of their own.
        """
        if self.query is None or self.query_labels is None:
            raise no_queries_to_exchange()
        return EvaluationSet(
            self.class_names,
            self.query,
            self.query_labels,
            self.support,
            self.support_labels,
            self.query_images,
            self.support_images,
            self.query_regions,
            self.support_regions,
        )

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
        draws: Draws for each number; their seeds are 0, 1, ... The paper has five. Embeddings are computed once for all
            draws, so 20 cost little and halve what the luck of a draw does to a mean.
        heads: Names of heads, as `fit_head` takes them.
        tuning: How `zip-f` is trained. By default without folds, which would take three more trainings for each draw:
            its probabilities are those of temperature 1, and not what `calibrate` makes of them.
        aggregate: How the views become one decision, for heads that are named; by default each head's own.
        split: `"region"` draws single instances, as the paper does; `"image"` keeps the instances of one image on one
            side.
        shot_ranges: Ranges of shots; each class gets its own number of them in each draw.
        trained_draws: Draws of a head that trains anew in each, which takes seconds to minutes; `draws` if that is
            fewer.

    Raises:
        UsageError: The protocol is empty, asks for an unknown head or split, or names an aggregation for `auto`.
    """

    shots: tuple[int, ...] = (1, 3, 5)
    draws: int = 20
    heads: tuple[str, ...] = ("auto", "zip", "zip-c", "zip-f")
    tuning: FineTuning = field(default_factory=lambda: FineTuning(folds=0))
    aggregate: str | None = None
    split: str = "region"
    shot_ranges: tuple[ShotRange, ...] = ()
    trained_draws: int = 5

    def __post_init__(self) -> None:
        check_split(self.split)
        for what, whole in (
            *(("a number of shots", shots) for shots in self.shots),
            ("the number of draws", self.draws),
            ("the number of draws of a trained head", self.trained_draws),
        ):
            check_integer(what, whole)
        if not self.supports or min(self.draws, self.trained_draws) < 1 or not self.heads:
            raise UsageError("an evaluation needs at least one number of shots, one draw and one head")
        if min(self.shots, default=1) < 1:
            raise UsageError(f"at least 1 shot is needed, not {min(self.shots)}")
        for name in self.heads:
            check_head(name, aggregate=self.aggregate)

    @property
    def supports(self) -> tuple[Shots, ...]:
        """Numbers and ranges of shots together; the last has the most shots."""
        return in_order((*self.shots, *self.shot_ranges))

    def draws_of(self, head: str) -> int:
        """Draws of a head."""
        trains = head in head_names() and head_class(head).trains
        return min(self.draws, self.trained_draws) if trains else self.draws


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
    labelled = np.bincount(data.support_labels, minlength=len(data.class_names))
    own = data.query_labels is None
    labels = data.support_labels if data.query_labels is None else data.query_labels
    images = data.support_images if own else data.query_images
    results = []
    for shots in protocol.supports:
        splits = [split_places(data.places, shots, seed, protocol.split) for seed in range(protocol.draws)]
        # Every head has the queries of all draws, so that heads with fewer draws can be compared with others.
        asked = np.unique(np.concatenate([each.queries for each in splits]))
        answers = {
            head: Answers.empty(labels[asked], None if images is None else images[asked], protocol.draws_of(head))
            for head in protocol.heads
        }
        chosen: dict[str, list[str]] = {head: [] for head in answers}
        # One draw is in memory at a time: without queries of their own, each copies most of the set.
        for seed in range(protocol.draws):
            each = draw(data, shots, seed, protocol.split)
            for head, filled in answers.items():
                if seed >= protocol.draws_of(head):
                    continue
                fit = fit_head(each.cache, head, aggregate=protocol.aggregate, tuning=protocol.tuning)
                probabilities = open_head(fit.cache).probabilities(each.queries)
                filled.put(seed, np.searchsorted(asked, each.places), probabilities)
                settings = fit.cache.head
                chosen[head].append(str(settings))
                progress(1)
        results += [HeadResult(head, shots, answers[head], labelled, tuple(chosen[head])) for head in answers]
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


def draw(data: EvaluationSet, shots: Shots, seed: int, split: str = "region") -> Draw:
    """Draws shots; what is left, or the query set, is to be classified.

    Args:
        data: Labelled embeddings.
        shots: Instances of each class, or the range that each class's own number is drawn from.
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
        shots=shots if isinstance(shots, int) else None,
        seed=seed,
    )
    queries = data.support if data.query is None else data.query
    # All queries of a set of their own are not copied for each draw.
    chosen = queries if len(places.queries) == len(queries) else queries[places.queries]
    return Draw(cache, places.drawn, places.queries, chosen, places.labels)


def check_counts(counts: Mapping[str, int], shots: int, where: str | None = None) -> None:
    """Refuses classes that shots cannot be drawn from.

    Args:
        counts: Instances of each class.
        shots: The most that may be drawn of each.
        where: What is drawn from, for the message, where that is not the support.

    Raises:
        SupportError: There are fewer than two classes, or a class has fewer instances.
    """
    if len(counts) < 2:
        raise SupportError(
            "there are fewer than two classes to tell apart",
            where=where,
            fix="add labelled instances of another class",
        )
    for name, count in counts.items():
        if count < shots:
            raise SupportError(
                f"the class '{name}' has {counted(count, 'instance')}, fewer than {counted(shots, 'shot')}",
                where=where,
                fix="ask for fewer shots, or leave the class out",
            )


def check_set(data: EvaluationSet, protocol: Protocol, where: str | None = None) -> None:
    """Refuses what the protocol cannot be run on.

    Args:
        data: Labelled embeddings.
        protocol: Shots, draws and heads.
        where: See `check_counts`.

    Raises:
        SupportError: A class has fewer instances than shots, or there are fewer than two classes.
        InputError: There is no query, or an embedding is not finite.
        UsageError: Images are to be drawn, and are not known.
    """
    counts = np.bincount(data.support_labels, minlength=len(data.class_names))
    most = most_shots(protocol.supports[-1])
    check_counts(dict(zip(data.class_names, counts.tolist(), strict=True)), most, where)
    if data.query is None and protocol.shots and int((counts - max(protocol.shots)).sum()) == 0:
        raise InputError("every instance would be drawn, so none is left to classify", fix="give queries of their own")
    if data.query is not None and not len(data.query):
        raise InputError("there is no query to classify", fix="check the query source")
    check_queries(data.places, protocol.supports, protocol.draws, protocol.split, ())
    for values in (data.support, data.query):
        if values is not None and not np.isfinite(values).all():
            raise InputError("an embedding holds a value that is not finite", fix="check the features file")
