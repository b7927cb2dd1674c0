"""`zip-c`: the Zip-Adapter on centred embeddings, training-free."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads.base import Head
from mvrec_edge.runtime.support_cache import SupportCache

__all__ = ["CentredZipAdapter"]


class CentredZipAdapter(Head):
    """Subtracts the mean of all support view embeddings from keys and queries before the cosine.

    CLIP embeddings share a large common component, so their cosines bunch up near 1; without it, what is left is what
    tells defects apart. See `Head` for the arguments.
    """

    name = "zip-c"

    def __init__(
        self,
        cache: SupportCache,
        beta: float | None = None,
        aggregate: str | None = None,
        temperature: float | None = None,
    ) -> None:
        # The keys are means over equally many views, so their mean is the mean of all view embeddings.
        self._centre: npt.NDArray[np.float32] = np.asarray(cache.keys.mean(axis=0), np.float32)
        super().__init__(cache, beta, aggregate, temperature)

    def _project(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(rows - self._centre, np.float32)
