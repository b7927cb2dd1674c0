"""The stage `calibrate --tune`: the precision, head and number of views that give most for what they cost."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mvrec_edge.calib.calibration import CalibrateSettings, describe_calibration, encode_chosen
from mvrec_edge.calib.fitting.around_head import fit_around_head
from mvrec_edge.calib.fitting.tuning import (
    EncodedSupport,
    TuningPoint,
    best_point,
    check_tunable,
    describe_tuning,
    tune,
)
from mvrec_edge.calib.instances.image_digests import images_of_classes
from mvrec_edge.calib.instances.labelled import LabelledSet
from mvrec_edge.calib.observer import SILENT, Observer
from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.engines import Engine
from mvrec_edge.runtime.errors import EnvironmentUnfitError, UsageError
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["TunedCalibration", "calibrate_tuned"]


@dataclass(frozen=True)
class TunedCalibration:
    """A support cache for the way to classify that was chosen.

    Attributes:
        cache: The cache, for the precision that was chosen.
        points: All ways that were compared, the cheapest first.
    """

    cache: SupportCache
    points: tuple[TuningPoint, ...]


def calibrate_tuned(
    open_precision: Callable[[str], Engine],
    bundle: Bundle,
    labelled: LabelledSet,
    settings: CalibrateSettings | None = None,
    *,
    precisions: Sequence[str] | None = None,
    observer: Observer = SILENT,
) -> TunedCalibration:
    """Encodes labelled defects in several precisions, compares what each gives and costs here, and keeps the best.

    Args:
        open_precision: Opens an engine for one of the bundle's precisions.
        bundle: The bundle.
        labelled: What `read_labelled` returned.
        settings: As for `calibrate`; the head is `"auto"`.
        precisions: The precisions to look at; by default all that the bundle holds and an engine runs, and those that
            none runs are named with the reason.
        observer: Watches.

    Returns:
        The cache of the cheapest of the most accurate ways, and all ways.

    Raises:
        UsageError: The settings name a head, or a precision that is named is not known or cannot be run.
        SupportError: There are fewer than two classes, or the instances of a class lie on a single image.
        EnvironmentUnfitError: No engine runs what was named, or any of the precisions.
        IntegrityError: A graph was changed.
        ImageError: An image cannot be read any more.
    """
    settings = settings or CalibrateSettings()
    if settings.head != "auto":
        raise UsageError("--tune chooses the head itself", fix="leave out --head and --rebase")
    chosen = settings.chosen(labelled, observer)
    check_tunable(images_of_classes(chosen))

    def encode(precision: str) -> EncodedSupport:
        return _encoded(open_precision, precision, chosen, settings, observer)

    supports = _encoded_all(bundle, precisions, encode, observer)
    with observer.phase("tuning", None, "instances") as advance:
        points = tune(supports, advance)
    for line in describe_tuning(supports, points):
        observer.remark(line)
    best = best_point(points)
    cache = dataclasses.replace(
        next(encoded.cache for encoded in supports if encoded.precision == best.precision),
        head=best.head,
        schedule=dataclasses.replace(best.schedule, use=best.use),
    )
    # The schedule is that of the point.
    cache = fit_around_head(cache, settings.reject_rate, right_at_least=settings.right_at_least, schedule=False)
    for line in describe_calibration(cache):
        observer.remark(line)
    return TunedCalibration(cache, tuple(points))


def _encoded(
    open_precision: Callable[[str], Engine],
    precision: str,
    labelled: LabelledSet,
    settings: CalibrateSettings,
    observer: Observer,
) -> EncodedSupport:
    with open_precision(precision) as engine:
        plan = settings.plan(engine.image_size)
        start = time.perf_counter()
        cache = encode_chosen(engine, labelled, plan, settings, observer)
        view_ms = (time.perf_counter() - start) * 1e3 / (len(labelled.instances) * plan.count)
        return EncodedSupport(engine.precision, cache, view_ms, f"{engine.name} on {engine.device}")


def _encoded_all(
    bundle: Bundle, precisions: Sequence[str] | None, encode: Callable[[str], EncodedSupport], observer: Observer
) -> list[EncodedSupport]:
    """The support in each precision that is to be looked at, one after the other."""
    for name in precisions or ():
        bundle.manifest.graph(name)
    if precisions is not None:
        return [encode(name) for name in precisions]
    supports: list[EncodedSupport] = []
    failures: dict[str, EnvironmentUnfitError | UsageError] = {}
    for name in bundle.precisions:
        try:
            supports.append(encode(name))
        except (EnvironmentUnfitError, UsageError) as error:
            failures[name] = error
    if not supports:
        raise next(iter(failures.values()))
    for name, failure in failures.items():
        observer.remark(f"{name} is left out: {failure}")
    return supports
