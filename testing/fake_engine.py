"""An engine without a model, for the tests of programs built on this package."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.engine import CPU_BATCH, Engine

__all__ = ["FakeEngine"]

_GRID = 4


class FakeEngine(Engine):
    """Answers at once with embeddings that depend on nothing but the pixels of each view.

    An embedding is the view shrunk to 4 x 4 pixels, projected by a fixed matrix: deterministic, cheap, and
    similar for similar views, so that a classifier on top of it behaves like one.

    Args:
        image_size: Side of a view in pixels.
        embedding_dim: Channels of an embedding.
        fingerprint: What the engine claims to compute.
        batch: Most views that are computed at once.
        on_gpu: Whether images are read and views cut in a thread beside it, as for an engine on a GPU.

    Attributes:
        batches: The number of views of every batch so far, for tests of batching.
    """

    name = "fake"
    device = "no device"

    def __init__(
        self,
        *,
        image_size: int = 224,
        embedding_dim: int = 32,
        fingerprint: str = "fake",
        batch: int = CPU_BATCH,
        on_gpu: bool = False,
    ) -> None:
        super().__init__(image_size=image_size, embedding_dim=embedding_dim, fingerprint=fingerprint, batch=batch)
        self.on_gpu = on_gpu
        projection = np.random.default_rng(0).standard_normal((_GRID * _GRID * 4, embedding_dim))
        self._projection = projection.astype(np.float32)
        self.batches: list[int] = []

    def _encode_batch(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        self.batches.append(len(views))
        small = [cv2.resize(view, (_GRID, _GRID), interpolation=cv2.INTER_AREA).ravel() for view in views]
        # Row by row, so that a view's embedding does not depend on its neighbours in the batch.
        rows = [pixels.astype(np.float32) @ self._projection for pixels in small]
        return np.stack(rows) / np.float32(255.0)
