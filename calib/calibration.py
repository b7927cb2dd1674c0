"""The stage `calibrate`: labelled defects become a support cache with everything that `classify` goes by."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mvrec_edge.calib.fine_tuning.training import FineTuning
from mvrec_edge.calib.fitting.around_head import fit_around_head
from mvrec_edge.calib.fitting.cross_fitting import folds_of
from mvrec_edge.calib.fitting.head_fitting import check_head, describe_fit, fit_head
from mvrec_edge.calib.fitting.novelty_fitting import describe_limits
from mvrec_edge.calib.fitting.part_fitting import describe_parts, fit_parts
from mvrec_edge.calib.fitting.reading_itself import describe_reading
from mvrec_edge.calib.fitting.review_fitting import check_reviewable, describe_review
from mvrec_edge.calib.fitting.schedule_fitting import left_out
from mvrec_edge.calib.instances.encoding import encode_support
from mvrec_edge.calib.instances.labelled import LabelledSet
from mvrec_edge.calib.instances.window_fit import warn_of_windows
from mvrec_edge.calib.observer import SILENT, Observer
from mvrec_edge.calib.rebasing import find_instances, find_part, rebased_plan
from mvrec_edge.calib.setting_checks import check_integer, check_number
from mvrec_edge.runtime.engines import Engine
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads import head_class, head_names
from mvrec_edge.runtime.regions.kinds import MIXED
from mvrec_edge.runtime.regions.region import REGION_INPUTS, check_region_input
from mvrec_edge.runtime.support.cache import LARGEST_SEED, MOST_INSTANCES, SupportCache
from mvrec_edge.runtime.support.part_fit import check_part_name
from mvrec_edge.runtime.support.parts import parts_of
from mvrec_edge.runtime.support.reject_rate import check_rate
from mvrec_edge.runtime.support.right_rate import check_right_rate
from mvrec_edge.runtime.views import ViewPlan

__all__ = [
    "CalibrateSettings",
    "calibrate",
    "check_parts_of",
    "describe_calibration",
    "encode_chosen",
    "fit_support",
    "rebase",
    "rebased_settings",
]


@dataclass(frozen=True)
class CalibrateSettings:
    """What calibration chooses and fits.

    Attributes:
        shots: Instances drawn of each class, at least 1; None uses all.
        seed: Seed of the draw; the paper uses 0 to 4.
        views: View recipe, such as `"mso"`.
        window_sizes: Sides of the recipe's windows in source pixels, see `ViewPlan.by_name`; None for the paper's.
        resample: `"exact"` as in the released code, or `"fast"` for small boards.
        region_input: What the encoder is told about where a defect is: its outline (`"mask"`), its box (`"box"`) or
            nothing (`"full"`).
        head: `"auto"` or the name of a head; see `fit_head`.
        beta: Sharpness of a named head, above 0; None for the published one.
        aggregate: `"uncertainty"` or `"mean"`, for a named head; None for the published one.
        tuning: How `zip-f` is trained.
        reject_rate: Wanted share of known defects that are called unknown, 0.00001 to 0.5; None calls none unknown.
        right_at_least: Wanted share of right answers among the regions that no human looks at, 0.5 to 0.9999; None
            stores no limit.
        pictures: Whether the cache keeps a small picture of each instance, for reports.

    Raises:
        UsageError: A value is not usable, or two do not go together.
    """

    shots: int | None = None
    seed: int = 0
    views: str = "mso"
    window_sizes: tuple[int, ...] | None = None
    resample: str = "exact"
    region_input: str = "mask"
    head: str = "auto"
    beta: float | None = None
    aggregate: str | None = None
    tuning: FineTuning = field(default_factory=FineTuning)
    reject_rate: float | None = None
    right_at_least: float | None = None
    pictures: bool = True

    def __post_init__(self) -> None:
        for what, whole in (("the number of shots", self.shots), ("a seed", self.seed)):
            if whole is not None:
                check_integer(what, whole)
        for what, number in (
            ("beta", self.beta),
            ("a reject rate", self.reject_rate),
            ("a share of right answers", self.right_at_least),
        ):
            if number is not None:
                check_number(what, number)
        if not isinstance(self.tuning, FineTuning):
            raise UsageError(f"tuning must be a FineTuning, not {self.tuning!r}")
        check_head(self.head, self.beta, self.aggregate)
        check_region_input(self.region_input)
        if self.shots is not None and self.shots < 1:
            raise UsageError(f"at least 1 shot is needed, not {self.shots}")
        if self.seed < 0:
            raise UsageError(f"a seed is 0 or above, not {self.seed}")
        # What a support cache can hold; the numbers may have thousands of digits.
        if self.shots is not None and self.shots > MOST_INSTANCES:
            raise UsageError(f"at most {MOST_INSTANCES} shots can be drawn of each class")
        if self.seed > LARGEST_SEED:
            raise UsageError(f"a seed is at most {LARGEST_SEED}")
        if self.reject_rate is not None:
            check_rate(self.reject_rate)
        if self.right_at_least is not None:
            check_right_rate(self.right_at_least)
            check_reviewable(self.head)
        self.plan()

    def plan(self, size: int = 224) -> ViewPlan:
        """The views to cut, `size` pixels wide."""
        return ViewPlan.by_name(self.views, size=size, resample=self.resample, window_sizes=self.window_sizes)

    def chosen(self, labelled: LabelledSet, observer: Observer = SILENT) -> LabelledSet:
        """The instances of a labelled set that are encoded, those drawn or all, as the encoder is told of them."""
        labelled = labelled.with_region_input(self.region_input)
        if labelled.region_input == MIXED:
            observer.remark(
                "warning: some instances have outlines and others boxes, which look otherwise to the encoder "
                "(--input box takes the box of each)"
            )
        if self.shots is None:
            return labelled
        for line in labelled.too_few(self.shots):
            observer.remark(line)
        return labelled.draw(self.shots, self.seed)


def calibrate(
    engine: Engine,
    labelled: LabelledSet,
    settings: CalibrateSettings | None = None,
    *,
    observer: Observer = SILENT,
) -> SupportCache:
    """Makes a support cache of labelled defects, with all that the command `calibrate` writes.

    Draws the shots, encodes them, fits the head and its temperature, the order of views with its stopping rule, and how
    far known defects lie from one another. Every image that `read_labelled` kept is not decoded again. Where the
    instances are of parts, that is done for each part alone, and the caches are joined.

    Args:
        engine: The engine that will also classify.
        labelled: What `read_labelled` returned.
        settings: What to choose and fit; by default all instances, 27 views, and the head that does best.
        observer: Watches.

    Returns:
        The support cache, ready to be saved.

    Raises:
        SupportError: There are fewer than two classes, training diverged, or a reject rate is wanted and every class
            has a single instance, or all of them on one image.
        ImageError: An image cannot be read any more.

    Example:
        >>> labelled = read_labelled(open_source("labelled"))                     # doctest: +SKIP
        >>> with open_engine("auto", Bundle.load("encoder.bundle")) as engine:    # doctest: +SKIP
        ...     calibrate(engine, labelled).save("line.safetensors")
    """
    settings = settings or CalibrateSettings()
    parts = labelled.by_part()
    if parts:
        labelled.check_classes()
        check_parts_of(parts, (settings.head,))
        caches = {}
        for name, own in parts.items():
            observer.remark(f"part {name}")
            caches[name] = calibrate(engine, own, settings, observer=observer)
        return _joined(caches, observer)
    chosen = settings.chosen(labelled, observer)
    plan = settings.plan(engine.image_size)
    warn_of_windows(chosen, plan, observer)
    return _encode_and_fit(engine, chosen, plan, settings, observer)


def rebase(
    engine: Engine,
    labelled: LabelledSet,
    cache: SupportCache,
    settings: CalibrateSettings | None = None,
    *,
    observer: Observer = SILENT,
) -> SupportCache:
    """Encodes the instances of a cache again, for another bundle or precision, and fits everything to them anew.

    Args:
        engine: The engine that will also classify.
        labelled: A labelled set that holds the cache's instances.
        cache: The cache whose instances, views, head and, unless the settings say others, reject rate and share of
            right answers are kept.
        settings: See `rebased_settings`.
        observer: Watches.

    Returns:
        The new support cache.

    Raises:
        UsageError: The settings choose instances, views or a head, or the cache has no view plan.
        SupportError: The labelled set does not hold all instances; or as for `calibrate`.
        ImageError: An image cannot be read any more.
    """
    settings = settings or CalibrateSettings()
    if cache.parts:
        rebased_settings(settings, cache)
        own = {name: find_part(name, labelled) for name in cache.part_names}
        caches = {
            name: rebase(engine, own[name], part, settings, observer=observer) for name, part in parts_of(cache).items()
        }
        return _joined(caches, observer)
    settings = rebased_settings(settings, cache)
    found = find_instances(cache, labelled).with_region_input(settings.region_input)
    fitted = _encode_and_fit(engine, found, rebased_plan(cache, engine.image_size), settings, observer)
    if cache.schedule is None or fitted.schedule is None:
        return fitted
    # How many views are used is a choice, as of `--tune`, and is not fitted.
    return dataclasses.replace(fitted, schedule=dataclasses.replace(fitted.schedule, use=cache.schedule.use))


def rebased_settings(settings: CalibrateSettings, cache: SupportCache) -> CalibrateSettings:
    """Settings with what `rebase` keeps of a cache; training, pictures and given rates stay those of the settings.

    Raises:
        UsageError: The settings choose instances, views or a head.
    """
    chosen = (settings.shots, settings.views, settings.window_sizes, settings.head, settings.region_input)
    if chosen != (None, "mso", None, "auto", "mask"):
        raise UsageError(
            "--rebase keeps the cache's instances, views and head",
            fix="leave out --shots, --view-recipe, --window-sizes, --head, --input",
        )
    rate, right = settings.reject_rate, settings.right_at_least
    if rate is None and cache.novelty is not None:
        rate = cache.novelty.reject_rate
    if right is None and cache.review is not None:
        right = cache.review.right_at_least
    return dataclasses.replace(
        settings,
        shots=cache.shots,
        seed=cache.seed or 0,
        head=cache.head.name,
        beta=None if cache.head.experts else cache.head.beta,
        aggregate=None if cache.head.experts else cache.head.aggregate,
        reject_rate=rate,
        right_at_least=right,
        region_input=cache.region_input if cache.region_input in REGION_INPUTS else "mask",
    )


def _encode_and_fit(
    engine: Engine, labelled: LabelledSet, plan: ViewPlan, settings: CalibrateSettings, observer: Observer
) -> SupportCache:
    cache = encode_chosen(engine, labelled, plan, settings, observer)
    return fit_support(cache, settings, observer=observer)


def encode_chosen(
    engine: Engine,
    labelled: LabelledSet,
    plan: ViewPlan,
    settings: CalibrateSettings,
    observer: Observer,
    *,
    note: str = "",
) -> SupportCache:
    """Encodes the instances that were chosen, and records how: the first half of `calibrate`, for each of its kinds.

    `note` follows the title of the phase.
    """
    with observer.phase(
        f"encoding, {engine.precision}{note}", len(labelled.instances) * plan.count, "views"
    ) as advance:
        return encode_support(
            engine,
            labelled,
            plan,
            shots=settings.shots,
            seed=None if settings.shots is None else settings.seed,
            pictures=settings.pictures,
            progress=advance,
        )


def fit_support(
    cache: SupportCache, settings: CalibrateSettings | None = None, *, observer: Observer = SILENT
) -> SupportCache:
    """Fits everything that calibration fits to embeddings that are there: the second half of `calibrate`.

    Args:
        cache: A support cache, as `encode_support` or `SupportCache.from_embeddings` makes it; what is fitted in it is
            replaced.
        settings: Head, training, reject rate and share of right answers hold; instances and views are those of the
            cache.
        observer: Watches.

    Raises:
        SupportError: Training diverged, or a reject rate is wanted and every class has a single instance, or all of
            them on one image.
    """
    settings = settings or CalibrateSettings()
    if cache.parts:
        parts = parts_of(cache)
        return _joined({name: fit_support(part, settings, observer=observer) for name, part in parts.items()}, observer)
    cache = _fit_head(cache, settings, observer)
    with observer.phase("view schedule", len(left_out(cache)), "instances") as advance:
        cache = fit_around_head(cache, settings.reject_rate, right_at_least=settings.right_at_least, progress=advance)
    for line in describe_calibration(cache):
        observer.remark(line)
    return cache


def check_parts_of(parts: Iterable[str], heads: Iterable[str]) -> None:
    """Refuses parts and heads that a cache of several parts cannot hold; asked before anything is encoded.

    Args:
        parts: Names of parts.
        heads: Heads, as `fit_head` takes them.

    Raises:
        SupportError: A name cannot be that of a part.
        UsageError: A head is one that is trained.
    """
    for name in parts:
        check_part_name(name)
    for head in heads:
        if head in head_names() and head_class(head).trains:
            raise UsageError(
                f"the head {head} is trained, and a support cache with parts holds no trained head",
                fix="give another head, or leave out --part and --part-from",
            )


def _joined(caches: Mapping[str, SupportCache], observer: Observer) -> SupportCache:
    """The caches of parts as one, with the head that tells the parts apart."""
    cache = fit_parts(caches)
    observer.remark(describe_parts(cache))
    return cache


def _fit_head(cache: SupportCache, settings: CalibrateSettings, observer: Observer) -> SupportCache:
    with contextlib.ExitStack() as stack:
        advance = None
        if settings.head in head_names() and head_class(settings.head).trains:
            trainings = 1 + len(folds_of(cache, settings.tuning.folds))
            advance = stack.enter_context(observer.phase("fine-tuning", settings.tuning.steps * trainings, "steps"))

        def on_step(_: int, loss: float) -> None:
            if advance is not None:
                advance(1, f"loss {loss:.4f}")

        fit = fit_head(
            cache,
            settings.head,
            beta=settings.beta,
            aggregate=settings.aggregate,
            tuning=settings.tuning,
            on_step=on_step,
        )
    for line in describe_fit(fit):
        observer.remark(line)
    return fit.cache


def describe_calibration(cache: SupportCache) -> list[str]:
    """How well the support reads itself, and what was fitted around the head, in lines."""
    lines = [describe_reading(cache), *([] if cache.schedule is None else [cache.schedule.describe()])]
    lines.append("unknown defects: " + "; ".join(describe_limits(cache)))
    return lines if cache.review is None else [*lines, "review: " + "; ".join(describe_review(cache))]
