"""The stages around the encoder, on a rendered part: decoding, cutting views, classifying."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.files import writing
from mvrec_edge.runtime.heads import ZipAdapter
from mvrec_edge.runtime.images import read_image
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.views import ViewPlan, crop_views
from mvrec_edge.runtime.views.plan import RECIPES
from mvrec_edge.testing.surfaces import render_defect

__all__ = ["STAGES", "StagesWorkload", "recipe_of"]

#: What is measured beside the encoder: a camera's image as PNG, both resamplings, and the head.
STAGES = ("decode", "crop exact", "crop fast", "classify")

_SIZE = (480, 640)
_CLASSES = 5
_SHOTS = 5


class StagesWorkload:
    """Decodes a 640 x 480 PNG, cuts the views of its defect, classifies against 25 support instances.

    Args:
        image_size: Side of a view in pixels.
        embedding_dim: Channels of an embedding.
        views: Views for each defect.
        threads: CPU threads of OpenCV and of cutting; None for their own choice.
    """

    device = "cpu"

    def __init__(self, *, image_size: int, embedding_dim: int, views: int, threads: int | None = None) -> None:
        if threads is not None:
            cv2.setNumThreads(threads)
        self._recipe, self._image_size, self._threads = recipe_of(views), image_size, threads
        sample = render_defect("scratch", "brushed metal", size=_SIZE, seed=0)
        self._region = Region(sample.mask)
        self._folder = tempfile.TemporaryDirectory(prefix="mvrec-edge-bench-")
        self._file = Path(self._folder.name) / "part.png"
        _, data = cv2.imencode(".png", cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR))
        with writing(self._file):
            self._file.write_bytes(data.tobytes())
        count = ViewPlan.by_name(self._recipe).count
        random = np.random.default_rng(0)
        self._query = random.standard_normal((1, count, embedding_dim), dtype=np.float32)
        support = random.standard_normal((_CLASSES * _SHOTS, count, embedding_dim), dtype=np.float32)
        labels = np.repeat(np.arange(_CLASSES), _SHOTS)
        names = [f"class {index}" for index in range(_CLASSES)]
        self._head = ZipAdapter(SupportCache.from_embeddings(support, labels, names))

    def prepare(self, part: str, amount: int) -> Callable[[], object]:
        """One of `STAGES`, for one defect; `amount` is not looked at."""
        del amount
        if part not in STAGES:
            raise UsageError(f"there is no stage '{part}'", fix="one of " + ", ".join(STAGES))
        if part == "decode":
            return lambda: read_image(self._file)
        if part == "classify":
            return lambda: self._head.predict(self._query)
        image = read_image(self._file)
        plan = ViewPlan.by_name(self._recipe, size=self._image_size, resample=part.removeprefix("crop "))
        return lambda: crop_views(image, self._region, plan, threads=self._threads)

    def close(self) -> None:
        """Removes the image file."""
        self._folder.cleanup()


def recipe_of(views: int) -> str:
    """The first recipe with that many views; `mso` where there is none."""
    return next((name for name in RECIPES if ViewPlan.by_name(name).count == views), "mso")
