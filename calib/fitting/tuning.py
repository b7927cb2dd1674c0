"""What a support set gives for what it costs: accuracy over milliseconds, for each precision, head and view number."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvrec_edge.calib.fitting.schedule_fitting import RECORD_RISK, fit_rule, left_out_trials, unfitted_schedule
from mvrec_edge.calib.fitting.selection import fit_average, fit_head_temperature
from mvrec_edge.calib.plotting import new_figure, save_figure
from mvrec_edge.runtime.errors import SupportError
from mvrec_edge.runtime.files import writing
from mvrec_edge.runtime.heads import CentredZipAdapter, ZipAdapter
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.head_settings import HeadSettings
from mvrec_edge.runtime.support.image_groups import images_of_classes
from mvrec_edge.runtime.views.schedule import ViewSchedule
from mvrec_edge.runtime.views.window_sizes import listed_sizes
from mvrec_edge.runtime.wording import counted

__all__ = [
    "EncodedSupport",
    "TuningPoint",
    "best_by_precision",
    "best_point",
    "best_windows",
    "check_tunable",
    "describe_tuning",
    "front",
    "in_order",
    "plot_tuning",
    "tune",
]


@dataclass(frozen=True)
class EncodedSupport:
    """A support set as one of the bundle's graphs encodes it.

    Attributes:
        precision: The graph: `"fp32"`, `"fp16"`, `"bf16"` or `"int8"`.
        cache: The support cache; its head is not looked at.
        view_ms: Milliseconds that cutting and encoding one view takes on this machine, above 0.
        device: What ran the graph, in words.
        windows_rank: Place of the view plan's windows among those that are compared; 0 for the settings' own.
    """

    precision: str
    cache: SupportCache
    view_ms: float
    device: str = ""
    windows_rank: int = 0

    @property
    def windows(self) -> str:
        """The sizes of the view plan's windows, such as `128,192,256`; empty where there is no plan."""
        return "" if self.cache.view_plan is None else listed_sizes(self.cache.view_plan.scales)


@dataclass(frozen=True)
class TuningPoint:
    """One way to classify, and how it does when each support instance is left out.

    Attributes:
        precision: The graph that encodes the views.
        head: The head with its parameters.
        use: `"auto"`, or the number of views.
        views: Mean views a defect.
        accuracy: Share of the left-out instances that are classified rightly, 0 to 1.
        left_out: Instances that were left out.
        milliseconds: What a defect's views cost, cut and encoded, as measured on this machine.
        schedule: The order of views and the stopping rule for the head.
        windows: The sizes of the windows, such as `128,192,256`.
        windows_rank: See `EncodedSupport`.
    """

    precision: str
    head: HeadSettings
    use: str | int
    views: float
    accuracy: float
    left_out: int
    milliseconds: float
    schedule: ViewSchedule
    windows: str = ""
    windows_rank: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The point in plain JSON types."""
        return {
            "precision": self.precision,
            "windows": self.windows,
            "head": self.head.to_dict(),
            "use": self.use,
            "views": round(self.views, 3),
            "accuracy": round(self.accuracy, 6),
            "left_out": self.left_out,
            "ms": round(self.milliseconds, 3),
        }


def check_tunable(images: Mapping[str, int]) -> None:
    """Finds out whether there is something to tune on; takes no embeddings, so it can be asked before encoding.

    Args:
        images: How many images the support instances of each class lie on.

    Raises:
        SupportError: The instances of a class lie on a single image, so that none can be left out.
    """
    if single := [name for name, count in images.items() if count < 2]:
        raise SupportError(
            "--tune leaves each instance out in turn, with the others of its image, and the class "
            f"'{single[0]}' lies on a single image",
            fix="label another image with that class, or leave out --tune",
        )


def tune(supports: Sequence[EncodedSupport], progress: Callable[[int], None] = lambda _: None) -> list[TuningPoint]:
    """Leaves each support instance out with its image, for each precision, head and number of views.

    In each precision both sides of a comparison come from the same graph. The heads are `average`, which `calibrate`
    takes by itself, and the paper's and the centred one. For each, every number of views at which its schedule pauses
    is a point, and so is `"auto"` at a risk of 1%. The instance left out is one of those that the parameters, the
    order of views and the stopping rule were chosen on, so accuracies are on the bright side.

    Args:
        supports: The same support instances, as different graphs encode them.
        progress: Called with 1 after each instance, head and precision.

    Returns:
        All points, the cheapest first, of equally cheap ones the most accurate first.

    Raises:
        SupportError: The instances of a class lie on a single image, so that none can be left out.
    """
    for encoded in supports:
        cache = encoded.cache
        images = images_of_classes(cache.image_groups, cache.labels, len(cache.class_names))
        check_tunable(dict(zip(cache.class_names, images.tolist(), strict=True)))
    return in_order([point for encoded in supports for point in _points_of(encoded, progress)])


def in_order(points: Sequence[TuningPoint]) -> list[TuningPoint]:
    """The cheapest first, of equally cheap ones the most accurate first."""
    return sorted(points, key=lambda point: (point.milliseconds, -point.accuracy))


def _points_of(encoded: EncodedSupport, progress: Callable[[int], None]) -> list[TuningPoint]:
    heads = [fit_average(encoded.cache).head]
    for kind in (ZipAdapter, CentredZipAdapter):
        fitted = fit_head_temperature(encoded.cache, kind.defaults)
        heads.append(kind.defaults if fitted is None else fitted.head)
    return [point for head in heads for point in _head_points(encoded, head, progress)]


def _head_points(encoded: EncodedSupport, head: HeadSettings, progress: Callable[[int], None]) -> list[TuningPoint]:
    cache = dataclasses.replace(encoded.cache, head=head, adapter=None)
    unfitted = unfitted_schedule(cache)
    trials = left_out_trials(cache, unfitted, progress)
    schedule = fit_rule(unfitted, trials)
    totals = np.cumsum([len(group) for group in schedule.groups])
    stops = [trial.stop(schedule.spread_factors, RECORD_RISK) for trial in trials]
    ends = [len(totals) - 1 if stop is None else stop for stop in stops]
    choices: list[tuple[str | int, list[int]]] = [
        (int(count), [group] * len(trials)) for group, count in enumerate(totals)
    ]
    if len(totals) > 1:
        choices.append(("auto", ends))
    points = []
    for use, groups in choices:
        right = [trial.said[group] == trial.label for trial, group in zip(trials, groups, strict=True)]
        views = float(np.mean(totals[groups]))
        points.append(
            TuningPoint(
                precision=encoded.precision,
                head=head,
                use=use,
                views=views,
                accuracy=float(np.mean(right)),
                left_out=len(trials),
                milliseconds=views * encoded.view_ms,
                schedule=schedule,
                windows=encoded.windows,
                windows_rank=encoded.windows_rank,
            )
        )
    return points


def front(points: Sequence[TuningPoint]) -> list[TuningPoint]:
    """The points that none beats in both accuracy and cost, the cheapest first."""
    kept: list[TuningPoint] = []
    for point in in_order(points):
        if not kept or point.accuracy > kept[-1].accuracy:
            kept.append(point)
    return kept


def best_windows(points: Sequence[TuningPoint]) -> int:
    """The rank of the windows that are kept: the most accurate at their best, of equals those that take fewer views.

    Of equals in both the first. Time is not looked at: from one encoding to the next it differs by more than windows
    make it differ.
    """
    accuracies: dict[int, tuple[float, float]] = {}
    for point in points:
        before = accuracies.get(point.windows_rank, (-1.0, 0.0))
        accuracies[point.windows_rank] = max(before, (point.accuracy, -point.views))
    return max(sorted(accuracies), key=accuracies.__getitem__)


def best_point(points: Sequence[TuningPoint]) -> TuningPoint:
    """The cheapest of the most accurate; of equally cheap ones the one that may take more views where it needs them.

    Where several sets of windows are compared, those of `best_windows` alone are looked at.
    """
    rank = best_windows(points)
    points = [point for point in points if point.windows_rank == rank]
    most = max(point.accuracy for point in points)
    able = [point for point in points if point.accuracy == most]
    return min(able, key=lambda point: (point.milliseconds, point.use != "auto"))


def best_by_precision(points: Sequence[TuningPoint]) -> list[TuningPoint]:
    """What `best_point` would be of each precision by itself, in the order in which precisions first appear."""
    names = dict.fromkeys(point.precision for point in points)
    return [best_point([point for point in points if point.precision == name]) for name in names]


def describe_tuning(supports: Sequence[EncodedSupport], points: Sequence[TuningPoint]) -> list[str]:
    """What each precision costs, all points with the kept one marked, and what the other precisions would give."""
    best, leading = best_point(points), front(points)
    # Said of each way where it is not the same for all.
    several = len({point.windows for point in points}) > 1
    width = max(len(point.windows) for point in points) + 2 if several else 0
    lines = []
    for encoded in supports:
        way = f"{encoded.precision}, windows {encoded.windows}" if several else encoded.precision
        lines.append(f"{way}: {encoded.view_ms:.3g} ms a view, {encoded.device}")
    lines.append(
        f"accuracy on the support itself, with {counted(best.left_out, 'instance')} left out in turn. What is kept is "
        f"the best of {len(points)}, so it looks better than it will be on new defects: 'mvrec-edge evaluate' measures "
        "that"
    )
    lines.append(
        f"{'precision':<11}{'head':<8}{'beta':>6}  {'aggregate':<13}{'windows'[:width]:{width}}{'views':>6}{'used':>7}"
        f"{'accuracy':>10}{'ms a defect':>13}"
    )
    for point in points:
        mark = "kept" if point is best else "front" if point in leading else ""
        head, windows = point.head, point.windows if several else ""
        lines.append(
            f"{point.precision:<11}{head.name:<8}{head.beta:>6g}  {head.aggregate:<13}{windows:{width}}{point.use!s:>6}"
            f"{point.views:>7.1f}{100 * point.accuracy:>9.1f}%{point.milliseconds:>13.1f}  {mark}".rstrip()
        )
    windows = f"windows {best.windows}, " if several else ""
    lines.append(
        f"kept: {best.precision}, {best.head.name}, beta {best.head.beta:g}, {best.head.aggregate}, {windows}views "
        f"{best.use}: the cheapest of the most accurate. One instance is {100 / best.left_out:.1f} percentage points"
    )
    others = [point for point in best_by_precision(points) if point.precision != best.precision]
    if others:
        listed = ", ".join(f"{p.precision} {100 * p.accuracy:.1f}% for {p.milliseconds:.1f} ms" for p in others)
        lines.append(
            f"{best.precision} gives {100 * best.accuracy:.1f}% for {best.milliseconds:.1f} ms a defect; the other "
            f"precisions at their best: {listed}"
        )
    return lines


def plot_tuning(points: Sequence[TuningPoint], path: Path) -> None:
    """Draws accuracy over milliseconds, a line for each precision, head and windows.

    The front and the kept point are marked.

    Args:
        points: What `tune` returned.
        path: PNG file to write.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        OutputError: The file cannot be written.
    """
    figure = new_figure(6.4, 4.2, "the plot of a tuning")
    axes = figure.subplots()
    several = len({point.windows for point in points}) > 1
    for way in dict.fromkeys((point.precision, point.head.name, point.windows) for point in points):
        own = [point for point in points if (point.precision, point.head.name, point.windows) == way]
        fixed = [point for point in own if point.use != "auto"]
        cost, accuracy = [p.milliseconds for p in fixed], [100 * p.accuracy for p in fixed]
        (line,) = axes.plot(cost, accuracy, marker="o", label=", ".join(way if several else way[:2]))
        for point in (point for point in own if point.use == "auto"):
            axes.plot(
                [point.milliseconds], [100 * point.accuracy], marker="D", color=line.get_color(), linestyle="none"
            )
    if any(point.use == "auto" for point in points):
        # Named once: an entry for each line would cover the plot where there are four precisions.
        axes.plot([], [], marker="D", color="gray", linestyle="none", label="views auto")
    leading = front(points)
    axes.step(
        [p.milliseconds for p in leading], [100 * p.accuracy for p in leading], where="post", color="gray", lw=0.8
    )
    best = best_point(points)
    axes.plot([best.milliseconds], [100 * best.accuracy], marker="o", markersize=16, fillstyle="none", color="black")
    axes.set(xlabel="ms a defect, on this machine", ylabel="accuracy with the instance left out, %")
    axes.grid(alpha=0.3)
    axes.legend()
    with writing(path):
        save_figure(figure, path)
