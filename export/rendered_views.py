"""Views that look like real ones, for checking a graph where no user's images are at hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.views import ViewPlan, crop_views
from mvrec_edge.testing.surfaces import DEFECT_FAMILIES, SURFACES, render_defect

__all__ = ["RENDERED_PLAN", "rendered_regions", "rendered_views"]

#: The recipe of the views.
RENDERED_PLAN = "ms"

_PER_DEFECT = 3


def rendered_regions(
    count: int, *, size: tuple[int, int] = (480, 640), seed: int = 0
) -> Iterator[tuple[npt.NDArray[np.uint8], Region]]:
    """Renders defects on surfaces.

    Args:
        count: Number of defects.
        size: Height and width of an image in pixels.
        seed: Seed of the defects.

    Yields:
        The image of each, uint8 `[H, W, 3]`, and its region.
    """
    for number in range(count):
        family = DEFECT_FAMILIES[number % len(DEFECT_FAMILIES)]
        surface = SURFACES[number % len(SURFACES)]
        sample = render_defect(family, surface, size=size, seed=seed + number)
        yield sample.image, Region(sample.mask)


def rendered_views(count: int, image_size: int, *, seed: int) -> npt.NDArray[np.uint8]:
    """Cuts views of rendered defects on rendered surfaces, three sizes of each defect.

    Args:
        count: Number of views N.
        image_size: Side S of a view in pixels.
        seed: Seed of the defects.

    Returns:
        uint8 `[N, S, S, 4]`, red, green, blue and mask.
    """
    plan = ViewPlan.by_name(RENDERED_PLAN, size=image_size)
    regions = rendered_regions(-(-count // _PER_DEFECT), seed=seed)
    return np.concatenate([crop_views(image, region, plan) for image, region in regions])[:count]
