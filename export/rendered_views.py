"""Views that look like real ones, for checking a graph where no user's images are at hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.views import ViewPlan, crop_views
from mvrec_edge.testing.surfaces import DEFECT_FAMILIES, SURFACES, render_defect

__all__ = ["rendered_views"]

_PER_DEFECT = 3


def rendered_views(count: int, image_size: int, *, seed: int) -> npt.NDArray[np.uint8]:
    """Cuts views of rendered defects on rendered surfaces, three sizes of each defect.

    Args:
        count: Number of views N.
        image_size: Side S of a view in pixels.
        seed: Seed of the defects.

    Returns:
        uint8 `[N, S, S, 4]`, red, green, blue and mask.
    """
    views: list[npt.NDArray[np.uint8]] = []
    plan = ViewPlan.by_name("ms", size=image_size)
    for number in range(-(-count // _PER_DEFECT)):
        family = DEFECT_FAMILIES[number % len(DEFECT_FAMILIES)]
        surface = SURFACES[number % len(SURFACES)]
        sample = render_defect(family, surface, size=(480, 640), seed=seed + number)
        views.append(crop_views(sample.image, Region(sample.mask), plan))
    return np.concatenate(views)[:count]
