"""From a mask image to regions: every connected component is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.drawing_budget import take
from mvrec_edge.runtime.regions.mask_parts import label_parts
from mvrec_edge.runtime.regions.region import Region, extent_of
from mvrec_edge.runtime.wording import counted

__all__ = ["DEFAULT_MIN_AREA", "MAX_INSTANCES", "regions_of_mask"]

# 4 x 4 pixels. Hand-painted masks carry specks of mostly 1 to 12 pixels (measured on the magnetic tile set), and a
# defect of fewer than 16 pixels shows nothing in a view that is 256 pixels wide.
DEFAULT_MIN_AREA = 16
MAX_INSTANCES = 10_000


def regions_of_mask(
    mask: npt.NDArray[Any],
    *,
    label: str | None = None,
    source: str | None = None,
    min_area: int | None = None,
) -> list[Region]:
    """Splits a mask into its connected components; pixels that touch at a corner are connected.

    Args:
        mask: uint8 or bool `[H, W]`; every value above 0 belongs to a defect.
        label: The class name of all of them, where it is known.
        source: Where the mask was read from; the regions' sources are this with `#0`, `#1` and so on.
        min_area: Components of fewer pixels are ignored; by default `DEFAULT_MIN_AREA`.

    Returns:
        One region for each, from top to bottom and then from left to right, by each component's first pixel;
        none where the mask is empty, which is what a part without a defect looks like.

    Raises:
        AnnotationError: Every component is smaller than `min_area`, there are more than `MAX_INSTANCES`, they lie
            within one another so that they take too much, or the array is noise, or no mask.
    """
    least = DEFAULT_MIN_AREA if min_area is None else min_area
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype not in (np.uint8, np.bool_):
        raise AnnotationError(
            f"a mask must be uint8 or bool [H, W], this one is {mask.dtype} {list(mask.shape)}", where=source
        )
    extent = extent_of(mask)
    if extent is None:
        return []
    x, y, width, height = extent
    # Within the bounds of all components: one small defect on a large image stays cheap.
    inside = mask[y : y + height, x : x + width].view(np.uint8)
    parts = label_parts(inside, source)
    kept = np.flatnonzero(parts.areas >= least)
    if len(kept) == 0:
        raise _too_small(len(parts.areas), int(parts.areas.max()), least, source)
    if len(kept) > MAX_INSTANCES:
        raise AnnotationError(
            f"the mask has {len(kept)} parts, more than {MAX_INSTANCES}",
            where=source,
            fix="check that it is a mask, or give a higher --min-area",
        )
    boxes = parts.boxes[kept]
    take(float(2 * np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).sum()), source)
    image_size = (mask.shape[0], mask.shape[1])
    found: list[tuple[tuple[int, int], Region]] = []
    for component, patch in parts.patches(kept):
        left, top = (int(value) for value in parts.boxes[component, :2])
        # No two components share their first pixel, so the order is the same everywhere.
        first = (top, left + int(patch[0].argmax()))
        found.append((first, Region.from_patch(patch, (x + left, y + top), image_size, label, give_away=True)))
        # The next one may be as large as the mask, too.
        del patch
    found.sort(key=lambda item: item[0])
    return [
        region if source is None else region.with_source(f"{source}#{index}") for index, (_, region) in enumerate(found)
    ]


def _too_small(count: int, largest: int, least: int, source: str | None) -> AnnotationError:
    """All parts are smaller than the least area; areas in pixels."""
    if count == 1:
        what, they = f"the only part of the mask has {counted(largest, 'pixel')}, fewer than {least}", "it is a defect"
    else:
        what = f"all {count} parts of the mask are smaller than {least} pixels, the largest has {largest}"
        they = "they are defects"
    return AnnotationError(what, where=source, fix=f"if {they}, give a lower --min-area")
