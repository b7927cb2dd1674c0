"""The stage `evaluate`: the paper's protocol on labelled sets, and how well unknown defects are told."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.evaluation.cautions import cautions
from mvrec_edge.calib.evaluation.directions import BACKWARD, FORWARD, Direction, DirectionMeans, direction
from mvrec_edge.calib.evaluation.head_result import HeadResult
from mvrec_edge.calib.evaluation.protocol import (
    EvaluationSet,
    Protocol,
    check_counts,
    check_set,
    evaluate_heads,
)
from mvrec_edge.calib.evaluation.review import ReviewResult, evaluate_review, reviewable_heads
from mvrec_edge.calib.evaluation.shot_counts import most_shots
from mvrec_edge.calib.evaluation.splitting import KnownPlaces, check_queries, most_left_out, no_queries_to_exchange
from mvrec_edge.calib.evaluation.unknown import UnknownResult, check_unknown, check_unknown_set, evaluate_unknown
from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
from mvrec_edge.calib.instances.encoding import encode_instances
from mvrec_edge.calib.instances.image_digests import image_digests
from mvrec_edge.calib.instances.labelled import LabelledSet
from mvrec_edge.calib.instances.window_fit import warn_of_windows
from mvrec_edge.calib.observer import SILENT, Observer
from mvrec_edge.runtime.engines import Engine
from mvrec_edge.runtime.errors import InputError, UsageError
from mvrec_edge.runtime.regions.region import check_region_input
from mvrec_edge.runtime.support.reject_rate import check_rate
from mvrec_edge.runtime.support.right_rate import check_right_rate
from mvrec_edge.runtime.views import ViewPlan
from mvrec_edge.runtime.wording import counted

__all__ = ["EvaluateSettings", "Evaluation", "check_sets", "encode_sets", "evaluate_embeddings", "evaluate_sets"]

# Where a message is about the other direction.
_EXCHANGED = "the queries, as support (--swap)"


@dataclass(frozen=True)
class EvaluateSettings:
    """What is evaluated.

    Attributes:
        protocol: Shots, draws and heads.
        views: View recipe, such as `"mso"`.
        window_sizes: Sides of the recipe's windows in source pixels, see `ViewPlan.by_name`; None for the paper's.
        resample: `"exact"` as in the released code, or `"fast"` for small boards.
        region_input: What the encoder sees of a region: `"mask"`, `"box"` (filled), or `"full"` (no mask).
        unknown: Whether each class is left out in turn as well, and its defects are to be told as unknown.
        reject_rate: For that, the wanted share of known defects that are called unknown, 0.00001 to 0.5.
        swap: Whether heads are evaluated in the other direction as well, with support and queries exchanged. Unknown
            defects are those of the first direction.
        right_at_least: Wanted share of right answers among the queries that no human looks at, 0.5 to 0.9999, which is
            then tried as well; None to try none.

    Raises:
        UsageError: A value is not usable, or unknown defects are asked for with ranges of shots alone.
    """

    protocol: Protocol = field(default_factory=Protocol)
    views: str = "mso"
    window_sizes: tuple[int, ...] | None = None
    resample: str = "exact"
    region_input: str = "mask"
    unknown: bool = False
    reject_rate: float = 0.05
    swap: bool = False
    right_at_least: float | None = None

    def __post_init__(self) -> None:
        check_region_input(self.region_input)
        check_rate(self.reject_rate)
        if self.unknown and not self.protocol.shots:
            raise UsageError(
                "unknown defects are measured with one number of shots for all classes, and there are only ranges",
                fix="add a number to --shots, such as 3,2-5",
            )
        if self.right_at_least is not None:
            if not self.protocol.shots:
                raise UsageError(
                    "a share of right answers is tried with one number of shots for all classes, and there are only "
                    "ranges",
                    fix="add a number to --shots, such as 3,2-5",
                )
            check_right_rate(self.right_at_least)
            reviewable_heads(self.protocol)
        self.plan()

    def plan(self, size: int = 224) -> ViewPlan:
        """The views to cut, `size` pixels wide."""
        return ViewPlan.by_name(self.views, size=size, resample=self.resample, window_sizes=self.window_sizes)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        settings: What was asked for.
        class_names: The classes.
        heads: One result for each number of shots and head, in that order.
        unknown: How well unknown defects are told by each score; None where that was not asked for.
        review: Whether a limit for review keeps what it promises; None where that was not asked for.
        cautions: What keeps the figures from meaning what they seem to, a line each: few queries, images on both sides.
        swapped: What was found with support and queries exchanged; None where that was not asked for.
    """

    settings: EvaluateSettings
    class_names: tuple[str, ...]
    heads: tuple[HeadResult, ...]
    unknown: tuple[UnknownResult, ...] | None = None
    cautions: tuple[str, ...] = ()
    swapped: Direction | None = None
    review: tuple[ReviewResult, ...] | None = None

    @cached_property
    def mean_of_directions(self) -> DirectionMeans | None:
        """The mean of both directions, each weighing alike; None where there is one alone."""
        return None if self.swapped is None else DirectionMeans.of(*self.directions)

    @cached_property
    def directions(self) -> tuple[Direction, ...]:
        """The direction of `heads`, with the differences between heads, and the other where it was asked for."""
        first = direction(FORWARD, self.heads)
        return (first,) if self.swapped is None else (first, self.swapped)


def evaluate_sets(
    engine: Engine,
    support: LabelledSet,
    query: LabelledSet | None = None,
    settings: EvaluateSettings | None = None,
    *,
    store: EmbeddingStore | None = None,
    observer: Observer = SILENT,
) -> Evaluation:
    """Encodes labelled sets and evaluates on them; see `encode_sets` and `evaluate_embeddings`.

    Args:
        engine: The engine.
        support: What shots are drawn from.
        query: What is classified; by default the instances of `support` that were not drawn.
        settings: What to evaluate; by default 1, 3 and 5 shots, 20 draws, all heads.
        store: Where embeddings are kept between runs.
        observer: Watches.

    Raises:
        SupportError: A class has fewer instances than shots, or there are too few classes.
        InputError: A query has a class that no shot is drawn of, or there is no query.
        ImageError: An image cannot be read any more.

    Example:
        >>> labelled = read_labelled(open_source("labelled"))                     # doctest: +SKIP
        >>> with open_engine("auto", Bundle.load("encoder.bundle")) as engine:    # doctest: +SKIP
        ...     for result in evaluate_sets(engine, labelled).heads:
        ...         print(result.head, result.shots, result.mean)
    """
    settings = settings or EvaluateSettings()
    data = encode_sets(engine, support, query, settings, store=store, observer=observer)
    return evaluate_embeddings(data, settings, observer=observer)


def check_sets(support: LabelledSet, query: LabelledSet | None, settings: EvaluateSettings) -> None:
    """Refuses sets that cannot be evaluated; asked before the encoder runs, which may take minutes.

    Raises:
        SupportError: A class has fewer instances than shots, or there are too few classes.
        InputError: A query has a class that no shot is drawn of; a class that is left out as unknown, or all others,
            have no query; or images are drawn, and all of them in one draw.
        ImageError: Images are drawn, and one cannot be read any more.
        UsageError: The directions are to be exchanged, and there are no queries of their own.
    """
    protocol = settings.protocol
    most = most_shots(protocol.supports[-1])
    check_counts(support.counts, most)
    for instance in () if query is None else query.instances:
        if instance.label not in support.counts:
            raise InputError(
                f"the class '{instance.label}' is not a class of the support",
                where=instance.region.source,
                fix="leave the query out, or add the class to the support",
            )
    if settings.swap:
        if query is None:
            raise no_queries_to_exchange()
        check_counts({name: query.counts.get(name, 0) for name in support.class_names}, most, _EXCHANGED)
    if settings.unknown:
        check_unknown(support.counts, None if query is None else query.counts, protocol.shots)
    if protocol.split == "image" or query is not None:
        needed = support.class_names if settings.unknown else ()
        known = known_places(support, query)
        check_queries(known, protocol.supports, protocol.draws, protocol.split, needed)
        if settings.swap:
            check_queries(known.exchanged(), protocol.supports, protocol.draws, protocol.split, ())


def known_places(support: LabelledSet, query: LabelledSet | None) -> KnownPlaces:
    """Labels, as indices into the support's classes, and images of labelled sets; see `image_digests`.

    Raises:
        ImageError: An image cannot be read any more.
    """
    numbers = {name: number for number, name in enumerate(support.class_names)}
    labels, images, regions = [], [], []
    digits: dict[str, int] = {}
    known: dict[tuple[object, ...], int] = {}
    for labelled in (support,) if query is None else (support, query):
        labels.append(np.array([numbers[instance.label] for instance in labelled.instances], np.int64))
        digests = image_digests(labelled)
        images.append(np.array([digits.setdefault(digest, len(digits)) for digest in digests], np.int64))
        same = [
            (digest, each.region.box, each.region.area)
            for digest, each in zip(digests, labelled.instances, strict=True)
        ]
        regions.append(np.array([known.setdefault(each, len(known)) for each in same], np.int64))
    if query is None:
        return KnownPlaces(labels[0], support_images=images[0])
    return KnownPlaces(*labels, *images, *regions)


def encode_sets(
    engine: Engine,
    support: LabelledSet,
    query: LabelledSet | None,
    settings: EvaluateSettings,
    *,
    store: EmbeddingStore | None = None,
    observer: Observer = SILENT,
) -> EvaluationSet:
    """Encodes the support and, where it is given, the query; labels become indices into the support's classes.

    Args:
        engine: The engine.
        support: What shots are drawn from.
        query: What is classified; None for the instances of `support` that were not drawn.
        settings: Views and region input hold; the rest is asked whether the sets suffice.
        store: Where embeddings are kept between runs.
        observer: Watches.

    Raises:
        SupportError: See `check_sets`.
        InputError: See `check_sets`.
        ImageError: An image cannot be read any more.
    """
    check_sets(support, query, settings)
    plan = settings.plan(engine.image_size)
    known = known_places(support, query)
    everything = support.instances + (() if query is None else query.instances)
    warn_of_windows(support.with_instances(everything), plan, observer)
    parts: list[npt.NDArray[np.float32]] = []
    for labelled in (support,) if query is None else (support, query):
        count = len(labelled.instances)
        before = 0 if store is None else store.found
        with observer.phase("encoding", count * plan.count, "views") as advance:
            seen = labelled.with_region_input(settings.region_input)
            parts.append(encode_instances(engine, seen, plan, store=store, progress=advance))
        found = 0 if store is None else store.found - before
        observer.remark(f"{counted(count, 'region')}: {count - found} encoded, {found} kept from an earlier run")
    return EvaluationSet(
        support.class_names,
        parts[0],
        known.support_labels,
        None if query is None else parts[1],
        known.query_labels,
        known.support_images,
        known.query_images,
        known.support_regions,
        known.query_regions,
    )


def evaluate_embeddings(
    data: EvaluationSet, settings: EvaluateSettings | None = None, *, observer: Observer = SILENT
) -> Evaluation:
    """Runs the protocol on labelled embeddings, and where it is asked for leaves each class out as unknown.

    Args:
        data: Labelled embeddings, such as `encode_sets` or `read_features` returns.
        settings: What to evaluate; views and region input are those of the embeddings.
        observer: Watches.

    Raises:
        SupportError: A class has fewer instances than shots, there are too few classes, or training diverged.
        InputError: There is no query, or an embedding is not finite.
        UsageError: The directions are to be exchanged, and there are no queries of their own.
    """
    settings = settings or EvaluateSettings()
    protocol = settings.protocol
    # Before any head is fitted, which takes minutes where one trains.
    check_set(data, protocol)
    other = data.exchanged() if settings.swap else None
    if other is not None:
        check_set(other, protocol, _EXCHANGED)
    if settings.unknown:
        check_unknown_set(data, protocol)
    heads, found = _evaluate_direction(data, protocol, "evaluating", observer)
    swapped = None
    if other is not None:
        exchanged, more = _evaluate_direction(other, protocol, "evaluating, exchanged", observer)
        swapped = direction(BACKWARD, exchanged)
        found += [f"{BACKWARD}: {line}" for line in more]
    unknown = None
    if settings.unknown:
        # All heads share a loop there, so one that trains has the others wait for it.
        fewer = dataclasses.replace(protocol, draws=min(protocol.draws_of(head) for head in protocol.heads))
        trials = len(fewer.shots) * fewer.draws * len(data.class_names)
        with observer.phase("leaving classes out", trials, "trials") as advance:
            unknown = tuple(evaluate_unknown(data, fewer, settings.reject_rate, advance))
    review = None
    if settings.right_at_least is not None:
        total = len(protocol.shots) * protocol.draws * len(reviewable_heads(protocol))
        with observer.phase("limits for review", total, "heads") as advance:
            review = tuple(evaluate_review(data, protocol, settings.right_at_least, advance))
    for line in found:
        observer.remark(f"warning: {line}")
    return Evaluation(settings, data.class_names, tuple(heads), unknown, tuple(found), swapped, review)


def _evaluate_direction(
    data: EvaluationSet, protocol: Protocol, phase: str, observer: Observer
) -> tuple[list[HeadResult], list[str]]:
    """The results of all heads, and the cautions."""
    if left_out := most_left_out(data.places, protocol.supports, protocol.draws, protocol.split):
        noun = "query" if left_out == 1 else "queries"
        observer.remark(f"{left_out} {noun} left out, at most in one draw: the same region of the same image is a shot")
    fits = len(protocol.supports) * sum(protocol.draws_of(head) for head in dict.fromkeys(protocol.heads))
    with observer.phase(phase, fits, "heads") as advance:
        heads = evaluate_heads(data, protocol, advance)
    return heads, list(cautions(data, protocol, heads))
