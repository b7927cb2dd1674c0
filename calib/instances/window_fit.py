"""How well a plan's windows fit the images: what lies outside, which defects are too large, what sizes would fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mvrec_edge.calib.instances.labelled import LabelledSet
from mvrec_edge.calib.observer import Observer
from mvrec_edge.runtime.regions.region import Region
from mvrec_edge.runtime.views import ViewPlan
from mvrec_edge.runtime.views.window_sizes import LARGEST_WINDOW_SIZE, SMALLEST_WINDOW_SIZE, listed_sizes

__all__ = [
    "MOST_LARGER",
    "MOST_OUTSIDE",
    "WindowFit",
    "describe_window_fit",
    "scaled_sizes",
    "sizes_to_compare",
    "suggested_sizes",
    "warn_of_windows",
    "window_fit",
]

#: Share of the views' area outside the images above which windows are called too large.
MOST_OUTSIDE = 0.5
#: Share of the defects larger than the largest window above which windows are called too small.
MOST_LARGER = 0.2

# Windows are halved and doubled no further than from 16384 to 16 pixels.
_MOST_DOUBLINGS = 10
# Enough to know both shares to about a percent, and looked at in less than a second.
_MOST_REGIONS = 2000
# Double windows mostly black, or half ones that most defects do not fit in, are not worth encoding everything again.
_MOST_LARGER_COMPARED = 0.5


@dataclass(frozen=True)
class WindowFit:
    """How a plan's windows lie over the images.

    Attributes:
        outside: Share of the views' area that lies outside the image, over all regions and views, 0 to 1.
        larger: Regions whose box is wider or higher than the largest window; 0 where windows follow the box.
        regions: Regions that were looked at.
    """

    outside: float
    larger: int
    regions: int

    @property
    def share_larger(self) -> float:
        """Share of the regions that are larger than the largest window, 0 to 1."""
        return self.larger / max(self.regions, 1)

    @property
    def fits(self) -> bool:
        """Whether neither share is above its limit."""
        return self.outside <= MOST_OUTSIDE and self.share_larger <= MOST_LARGER


def window_fit(regions: Sequence[Region], plan: ViewPlan) -> WindowFit:
    """Measures how a plan's windows lie over images; no image is read.

    Args:
        regions: The regions; of more than 2000, as many evenly from all.
        plan: The view plan; resampling and side of the views are not looked at.
    """
    if len(regions) > _MOST_REGIONS:
        regions = [regions[place] for place in np.linspace(0, len(regions) - 1, _MOST_REGIONS).astype(int)]
    if not regions:
        return WindowFit(0.0, 0, 0)
    windows = np.array([plan.windows(region.box) for region in regions], np.int64)
    heights, widths = np.array([region.image_size for region in regions], np.int64).T[:, :, None]
    inside = np.ones(windows.shape[:2])
    for first, last, length in ((0, 2, widths), (1, 3, heights)):
        seen = np.minimum(windows[..., last], length) - np.maximum(windows[..., first], 0)
        inside *= np.maximum(seen, 0) / (windows[..., last] - windows[..., first])
    larger = 0
    if not plan.of_box:
        boxes = np.array([region.box for region in regions], np.int64)
        # The last column and row of a box are covered.
        larger = int(((boxes[:, 2:] - boxes[:, :2]).max(axis=1) + 1 > max(plan.scales)).sum())
    return WindowFit(float(1 - inside.mean()), larger, len(regions))


def scaled_sizes(plan: ViewPlan, factor: float) -> tuple[int, ...] | None:
    """A plan's window sizes times a factor, in whole pixels.

    Args:
        plan: A plan with windows of fixed size.
        factor: Above 0.

    Returns:
        None where they are no longer distinct, or not from 16 to 16384 pixels.
    """
    sizes = tuple(round(scale * factor) for scale in plan.scales)
    if list(sizes) != sorted(set(sizes)) or not SMALLEST_WINDOW_SIZE <= sizes[0] <= sizes[-1] <= LARGEST_WINDOW_SIZE:
        return None
    return sizes


def suggested_sizes(regions: Sequence[Region], plan: ViewPlan) -> tuple[int, ...] | None:
    """The plan's window sizes halved or doubled as seldom as it takes to fit the regions.

    Args:
        regions: The regions.
        plan: The view plan.

    Returns:
        None where the plan's own fit, where they follow the box, or where none fit.
    """
    if plan.of_box or window_fit(regions, plan).fits:
        return None
    for doublings in range(1, _MOST_DOUBLINGS + 1):
        for factor in (0.5**doublings, 2.0**doublings):
            sizes = scaled_sizes(plan, factor)
            if sizes is not None and window_fit(regions, plan.with_window_sizes(sizes)).fits:
                return sizes
    return None


def sizes_to_compare(regions: Sequence[Region], plan: ViewPlan) -> list[tuple[int, ...]]:
    """Window sizes besides a plan's own that are worth encoding the regions with: half, double, and what fits.

    Args:
        regions: The regions.
        plan: The view plan.

    Returns:
        At most three; none where windows follow the box. Half the size is left out where half of the regions would be
        larger than the largest window, double the size where half of what the views show would lie outside the images.
    """
    if plan.of_box:
        return []
    found: list[tuple[int, ...]] = []
    for sizes, is_half in ((scaled_sizes(plan, 0.5), True), (scaled_sizes(plan, 2.0), False)):
        if sizes is None:
            continue
        fit = window_fit(regions, plan.with_window_sizes(sizes))
        if fit.share_larger <= _MOST_LARGER_COMPARED if is_half else fit.outside <= MOST_OUTSIDE:
            found.append(sizes)
    suggestion = suggested_sizes(regions, plan)
    if suggestion is not None and suggestion not in found:
        found.append(suggestion)
    return found


def describe_window_fit(regions: Sequence[Region], plan: ViewPlan) -> list[str]:
    """Warnings where windows do not fit, with the figures and what to try; without the word "warning".

    Args:
        regions: The regions that are encoded.
        plan: The view plan.

    Returns:
        One line each; none where they fit, and none where windows follow the box.
    """
    fit = window_fit(regions, plan)
    if plan.of_box or fit.fits:
        return []
    sizes = suggested_sizes(regions, plan)
    if sizes is not None:
        advice = f"try --window-sizes {listed_sizes(sizes)}, and let 'evaluate' compare"
    else:
        advice = "no other window sizes fit all: try --view-recipe mso_bbox, and let 'evaluate' compare"
    lines = []
    if fit.outside > MOST_OUTSIDE:
        lines.append(f"{fit.outside:.0%} of what the encoder sees lies outside the images ({advice})")
    if fit.share_larger > MOST_LARGER:
        largest = f"the largest window, {max(plan.scales):g} px"
        lines.append(f"{fit.larger} of {fit.regions} defects are larger than {largest} ({advice})")
    return lines


def warn_of_windows(labelled: LabelledSet, plan: ViewPlan, observer: Observer) -> None:
    """Tells an observer where windows do not fit; see `describe_window_fit`."""
    for line in describe_window_fit([instance.region for instance in labelled.instances], plan):
        observer.remark(f"warning: {line}")
