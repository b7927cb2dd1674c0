"""The stage `calibrate --tune`: the windows, precision, head and number of views that give most for what they cost."""

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
    best_windows,
    check_tunable,
    describe_tuning,
    in_order,
    tune,
)
from mvrec_edge.calib.instances.image_digests import images_of_classes
from mvrec_edge.calib.instances.labelled import LabelledSet
from mvrec_edge.calib.instances.window_fit import sizes_to_compare, warn_of_windows
from mvrec_edge.calib.observer import SILENT, Observer
from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.engines import Engine
from mvrec_edge.runtime.errors import EnvironmentUnfitError, UsageError
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.views.window_sizes import listed_sizes

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
    """Encodes labelled defects in several ways, compares what each gives and costs here, and keeps the best.

    Where the settings do not name the windows, those that the images suggest are compared with the recipe's own
    (`sizes_to_compare`), in the first precision that runs; the other precisions take the windows that are kept.

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
    choices = _windows_to_compare(chosen, settings, observer)

    def encode(precision: str, ranks: Sequence[int]) -> list[EncodedSupport]:
        return _encoded(open_precision, precision, chosen, choices, ranks, observer)

    supports, points = _encoded_all(bundle, precisions, encode, len(choices), observer)
    for line in describe_tuning(supports, points):
        observer.remark(line)
    best = best_point(points)
    cache = dataclasses.replace(
        next(
            encoded.cache
            for encoded in supports
            if (encoded.precision, encoded.windows_rank) == (best.precision, best.windows_rank)
        ),
        head=best.head,
        schedule=dataclasses.replace(best.schedule, use=best.use),
    )
    # The schedule is that of the point.
    cache = fit_around_head(cache, settings.reject_rate, right_at_least=settings.right_at_least, schedule=False)
    for line in describe_calibration(cache):
        observer.remark(line)
    return TunedCalibration(cache, tuple(points))


def _windows_to_compare(
    labelled: LabelledSet, settings: CalibrateSettings, observer: Observer
) -> list[CalibrateSettings]:
    """The settings, and the same with each other set of window sizes that is worth a try."""
    regions = [instance.region for instance in labelled.instances]
    if settings.window_sizes is not None:
        warn_of_windows(labelled, settings.plan(), observer)
        return [settings]
    others = sizes_to_compare(regions, settings.plan())
    choices = [settings, *(dataclasses.replace(settings, window_sizes=sizes) for sizes in others)]
    if others:
        listed = "; ".join(listed_sizes(choice.plan().scales) for choice in choices)
        observer.remark(
            f"windows: {len(choices)} sets of sizes are compared, so all instances are encoded {len(choices)} times: "
            f"{listed} (--window-sizes names one alone)"
        )
    return choices


def _encoded(
    open_precision: Callable[[str], Engine],
    precision: str,
    labelled: LabelledSet,
    choices: Sequence[CalibrateSettings],
    ranks: Sequence[int],
    observer: Observer,
) -> list[EncodedSupport]:
    """The support in one precision, with some of the sets of windows."""
    supports = []
    with open_precision(precision) as engine:
        for rank in ranks:
            plan = choices[rank].plan(engine.image_size)
            note = f", windows {listed_sizes(plan.scales)}" if len(choices) > 1 else ""
            start = time.perf_counter()
            cache = encode_chosen(engine, labelled, plan, choices[rank], observer, note=note)
            view_ms = (time.perf_counter() - start) * 1e3 / (len(labelled.instances) * plan.count)
            supports.append(EncodedSupport(engine.precision, cache, view_ms, f"{engine.name} on {engine.device}", rank))
    return supports


def _encoded_all(
    bundle: Bundle,
    precisions: Sequence[str] | None,
    encode: Callable[[str, Sequence[int]], list[EncodedSupport]],
    choices: int,
    observer: Observer,
) -> tuple[list[EncodedSupport], list[TuningPoint]]:
    """The support in each way that is to be looked at, one after the other, and the points of all, see `tune`.

    All windows are tried in the first precision that runs, and the others take the best of them.
    """
    for name in precisions or ():
        bundle.manifest.graph(name)
    supports: list[EncodedSupport] = []
    points: list[TuningPoint] = []
    failures: dict[str, EnvironmentUnfitError | UsageError] = {}
    for name in bundle.precisions if precisions is None else precisions:
        ranks = [best_windows(points)] if points else range(choices)
        try:
            encoded = encode(name, ranks)
        except (EnvironmentUnfitError, UsageError) as error:
            if precisions is not None:
                raise
            failures[name] = error
            continue
        supports += encoded
        with observer.phase(f"tuning, {name}", None, "instances") as advance:
            points = in_order([*points, *tune(encoded, advance)])
    if not supports:
        raise next(iter(failures.values()))
    for name, failure in failures.items():
        observer.remark(f"{name} is left out: {failure}")
    return supports, points
