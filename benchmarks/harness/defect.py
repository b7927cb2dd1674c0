"""One defect from the decoded image to the embeddings of its views, which are cut here or by the engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines import Engine
from mvrec_edge.runtime.engines.encoding import ImageRegions, encode_images
from mvrec_edge.runtime.errors import EnvironmentUnfitError, UsageError
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.views import ViewPlan, crop_views
from mvrec_edge.testing.surfaces import render_defect

__all__ = ["DefectWorkload"]

_SIZE = (480, 640)


class DefectWorkload:
    """Encodes the views of one defect in a rendered image of 640 x 480 pixels.

    Args:
        engine: An open engine; closed with the workload.
        recipe: The view recipe; `"mso"` has 27 views.
    """

    def __init__(self, engine: Engine, recipe: str = "mso") -> None:
        self._engine = engine
        self._plan = ViewPlan.by_name(recipe, size=engine.image_size)
        sample = render_defect("scratch", "brushed metal", size=_SIZE, seed=0)
        self._image, self._region = sample.image, Region(sample.mask)

    @property
    def device(self) -> str:
        """What the engine really runs on."""
        return self._engine.device

    def prepare(self, part: str, amount: int) -> Callable[[], npt.NDArray[np.float32]]:
        """`"cut here"`: views are cut on the processor; `"cut by the engine"`: in a graph of the bundle.

        Args:
            part: Which of the two.
            amount: Defects, which is 1.

        Raises:
            UsageError: There is no such part.
            EnvironmentUnfitError: The engine cuts no views.
        """
        if part not in ("cut here", "cut by the engine") or amount != 1:
            raise UsageError(f"there is no part '{part}' to measure", fix="parts: cut here, cut by the engine")
        if part == "cut here":
            return self._cut_here
        if not getattr(self._engine, "cuts_views", False):
            raise EnvironmentUnfitError("the bundle holds no graph that cuts views, or the engine does not take it")
        return self._cut_by_the_engine

    def _cut_here(self) -> npt.NDArray[np.float32]:
        return self._engine.encode(crop_views(self._image, self._region, self._plan, threads=self._engine.threads))

    def _cut_by_the_engine(self) -> npt.NDArray[np.float32]:
        # Which way is taken is its own choice: the graph, where the engine has one.
        (encoded,) = encode_images(self._engine, self._plan, [ImageRegions(None, self._image, [self._region])])
        return np.asarray(encoded.embeddings[0])

    def close(self) -> None:
        """Closes the engine."""
        self._engine.close()
