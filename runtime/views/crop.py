"""Cutting the views of a region out of its image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import AnnotationError, ImageError, UsageError
from mvrec_edge.runtime.regions.region import Region
from mvrec_edge.runtime.views.plan import ViewPlan
from mvrec_edge.runtime.views.reduction import reduced
from mvrec_edge.runtime.views.resample import Fetch, Window, resize_windows_exact, resize_windows_fast

__all__ = ["crop_views", "windows_to_cut", "with_windows"]

# Four times the largest image that is read: twice the box of a region that fills it, in both directions.
_MOST_WINDOW_PIXELS = 1 << 29
_LONGEST_WINDOW = 1 << 16


def crop_views(
    image: npt.NDArray[np.uint8],
    region: Region,
    plan: ViewPlan,
    out: npt.NDArray[np.uint8] | None = None,
    *,
    views: Sequence[int] | None = None,
    threads: int | None = None,
) -> npt.NDArray[np.uint8]:
    """Cuts and resizes every view of a region, or some of them.

    Only the part of the image under the windows is looked at. Outside the image a view is black, and zero in the
    mask.

    Args:
        image: uint8 `[H, W, 3]`, RGB.
        region: A region of this image.
        plan: Which views; V of them, S pixels wide.
        out: uint8 `[V, S, S, 4]` to fill instead of a new array.
        views: Indices of the views to cut, in the order wanted; by default all V.
        threads: CPU threads at most; by default, and in any case, no more than four.

    Returns:
        uint8 `[V, S, S, 4]`: red, green, blue and mask (0 to 255), the mask resampled like the image. Each
        depends on its own window alone, and in the exact resampling every value is the one that Pillow computes, of
        windows with a reduction (`ViewPlan.reductions`) the one that it computes from the averaged pixels.

    Raises:
        ImageError: The image is not uint8 `[H, W, 3]`.
        AnnotationError: The region belongs to an image of another size, or its box is so large that a window would
            not fit in memory.
        UsageError: `out` has another shape or dtype.
    """
    wanted = range(plan.count) if views is None else views
    windows = windows_to_cut(image, region, plan, views)
    shape = (len(windows), plan.size, plan.size, 4)
    if out is None:
        out = np.empty(shape, np.uint8)
    elif out.shape != shape or out.dtype != np.uint8:
        raise UsageError(f"out must be uint8 {list(shape)}, it is {out.dtype} {list(out.shape)}")

    def fetch(x1: int, y1: int, x2: int, y2: int) -> npt.NDArray[np.uint8]:
        return _cut(image, region, x1, y1, x2, y2)

    factors = dict(zip(windows, (plan.reductions[view] for view in wanted), strict=True))
    if len(factors) == len(windows) and not plan.turns_or_mirrors:
        _resize(fetch, image.shape[:2], factors, plan, out, threads)
        return out
    # Turned and mirrored views of one window share its resampling.
    plain = np.empty((len(factors), plan.size, plan.size, 4), np.uint8)
    _resize(fetch, image.shape[:2], factors, plan, plain, threads)
    places = {window: place for place, window in enumerate(factors)}
    for target, view, window in zip(out, wanted, windows, strict=True):
        target[...] = plan.views[view].turn(plain[places[window]])
    return out


def _resize(
    fetch: Fetch,
    image_size: tuple[int, int],
    factors: Mapping[Window, int],
    plan: ViewPlan,
    out: npt.NDArray[np.uint8],
    threads: int | None,
) -> None:
    """Resizes windows, given with the sides of the blocks that each is averaged in first, to `out`, in their order."""
    resize = resize_windows_exact if plan.resample == "exact" else resize_windows_fast
    windows = list(factors)
    if max(factors.values(), default=1) == 1:
        resize(fetch, windows, plan.size, out, threads)
        return
    for factor in sorted(set(factors.values())):
        places = [place for place, window in enumerate(windows) if factors[window] == factor]
        cut, some = fetch, [windows[place] for place in places]
        if factor > 1:
            cut, some = reduced(fetch, some, image_size, factor, threads)
        views = np.empty((len(places), *out.shape[1:]), np.uint8)
        resize(cut, some, plan.size, views, threads)
        out[places] = views


def windows_to_cut(
    image: npt.NDArray[np.uint8], region: Region, plan: ViewPlan, views: Sequence[int] | None
) -> list[Window]:
    """The windows of some views of a region, or of all; arguments and errors as for `crop_views`."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(
            f"an image must be uint8 [H, W, 3], this one is {image.dtype} {list(image.shape)}",
            where=region.source,
            fix="convert it with mvrec_edge.runtime.to_rgb_uint8",
        )
    if region.image_size != image.shape[:2]:
        height, width = region.image_size
        raise AnnotationError(
            f"the region belongs to an image of {width} x {height} pixels, this one has "
            f"{image.shape[1]} x {image.shape[0]}",
            where=region.source,
            fix="check that image and annotation belong together",
        )
    everything = plan.windows(region.box)
    windows = list(everything) if views is None else [everything[view] for view in views]
    _check_extent(windows, region)
    return windows


def with_windows(regions: Iterable[Region], plan: ViewPlan) -> tuple[list[Region], list[AnnotationError]]:
    """The regions whose windows `crop_views` would cut, and an error for each whose box is too large for that."""
    good, problems = [], []
    for region in regions:
        try:
            if plan.of_box:
                _check_extent(plan.windows(region.box), region)
            good.append(region)
        except AnnotationError as error:
            problems.append(error.with_traceback(None))
    return good, problems


def _check_extent(windows: Sequence[Window], region: Region) -> None:
    """Refuses windows that no image asks for: a box comes from a file, and windows may follow the box."""
    for x1, y1, x2, y2 in windows:
        width, height = x2 - x1, y2 - y1
        if max(width, height) > _LONGEST_WINDOW or width * height > _MOST_WINDOW_PIXELS:
            raise AnnotationError(
                f"a window of {width} x {height} pixels is too large to cut",
                where=region.source,
                fix="check the region's box, or use a view recipe with fixed windows such as mso",
            )


def _cut(image: npt.NDArray[np.uint8], region: Region, x1: int, y1: int, x2: int, y2: int) -> npt.NDArray[np.uint8]:
    """Cuts image and mask, uint8 `[y2 - y1, x2 - x1, 4]`, zero outside the image."""
    height, width = image.shape[:2]
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    whole = (left, top, right, bottom) == (x1, y1, x2, y2)
    pixels: npt.NDArray[Any] = (np.empty if whole else np.zeros)((y2 - y1, x2 - x1, 4), np.uint8)
    if left < right and top < bottom:
        inside = pixels[top - y1 : bottom - y1, left - x1 : right - x1]
        # OpenCV wants rows whose pixels follow one another; a crop of any ordinary array has them.
        source = image[top:bottom, left:right]
        if source.strides[1:] != (3, 1):
            source = np.ascontiguousarray(source)
        cv2.cvtColor(source, cv2.COLOR_RGB2RGBA, dst=inside)
        cv2.insertChannel(region.mask_window(left, top, right, bottom), inside, 3)
    return pixels
