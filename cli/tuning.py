"""`calibrate --tune`: accuracy over cost for each precision, as a table and a plot, and the point that is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mvrec_edge.calib.fitting.tuning import Variant
    from mvrec_edge.runtime import Bundle, SupportCache

__all__ = ["encoded_variants", "tuned"]


def encoded_variants(
    bundle: Bundle, encode: Callable[[str], Variant], precision: str | None, chosen: str | None
) -> list[Variant]:
    """Encodes the support in each precision that is to be looked at, one after the other.

    Args:
        bundle: The bundle.
        encode: Opens an engine for a precision, encodes the support and closes it again.
        precision: The only precision to look at, or None.
        chosen: The precisions to look at, such as `fp32,int8`; by default all that the bundle holds and an engine runs,
            and those that none runs are named with the reason.

    Raises:
        UsageError: Both are given, or a precision that is named is not known or cannot be run.
        EnvironmentUnfitError: No engine runs what was named, or any of them.
        IntegrityError: A graph was changed.
    """
    from mvrec_edge.cli.console import say
    from mvrec_edge.runtime.bundle import parse_precisions
    from mvrec_edge.runtime.errors import EnvironmentUnfitError, UsageError

    named = (precision,) if precision is not None else None if chosen is None else parse_precisions(chosen)
    for name in named or ():
        bundle.manifest.graph(name)
    if named is not None:
        return [encode(name) for name in named]
    variants: list[Variant] = []
    failures: dict[str, EnvironmentUnfitError | UsageError] = {}
    for name in bundle.precisions:
        try:
            variants.append(encode(name))
        except (EnvironmentUnfitError, UsageError) as error:
            failures[name] = error
    if not variants:
        raise next(iter(failures.values()))
    for name, failure in failures.items():
        say(f"{name} is not looked at: {failure}")
    return variants


def tuned(variants: Sequence[Variant], plot: Path | None) -> SupportCache:
    """Prints the front, draws it where asked, and returns the chosen cache with the head, order and number of views.

    Raises:
        SupportError: A class has a single instance.
        MissingDependencyError: A plot is wanted and matplotlib is not installed.
        OutputError: The plot cannot be written.
    """
    import dataclasses

    from mvrec_edge.calib.fitting.tuning import best_by_precision, best_point, front, plot_tuning, tune
    from mvrec_edge.cli.console import count_bar, say

    with count_bar("tuning", None, "instances") as advance:
        points = tune(variants, advance)
    best, leading = best_point(points), front(points)
    for variant in variants:
        say(f"{variant.precision}: {variant.view_ms:.3g} ms a view, {variant.device}")
    say(
        f"{'precision':<11}{'head':<8}{'beta':>6}  {'aggregate':<13}{'views':>6}{'used':>7}"
        f"{'accuracy':>10}{'ms a defect':>13}"
    )
    for point in points:
        mark = "kept" if point is best else "front" if point in leading else ""
        head = point.head
        say(
            f"{point.precision:<11}{head.name:<8}{head.beta:>6g}  {head.aggregate:<13}{point.use!s:>6}"
            f"{point.views:>7.1f}{100 * point.accuracy:>9.1f}%{point.milliseconds:>13.1f}  {mark}".rstrip()
        )
    say(
        f"kept: {best.precision}, {best.head.name}, beta {best.head.beta:g}, {best.head.aggregate}, views {best.use}: "
        f"the cheapest of the most accurate by leaving each of {best.left_out} instances out, one of "
        f"which is {100 / best.left_out:.1f} points"
    )
    others = [point for point in best_by_precision(points) if point.precision != best.precision]
    if others:
        line = ", ".join(f"{p.precision} {100 * p.accuracy:.1f}% for {p.milliseconds:.1f} ms" for p in others)
        say(
            f"{best.precision} gives {100 * best.accuracy:.1f}% for {best.milliseconds:.1f} ms a defect; the other "
            f"precisions at their best: {line}"
        )
    if plot is not None:
        plot_tuning(points, plot)
        say(f"written: {plot}")
    cache = next(variant.cache for variant in variants if variant.precision == best.precision)
    return dataclasses.replace(
        cache, head=best.head, adapter=None, schedule=dataclasses.replace(best.schedule, use=best.use)
    )
