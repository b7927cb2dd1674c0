"""`zip-c`: the Zip-Adapter on centred embeddings, training-free."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads.base import Head
from mvrec_edge.runtime.support_cache import HeadSettings

__all__ = ["CentredZipAdapter"]


class CentredZipAdapter(Head):
    """Subtracts the mean of all support view embeddings from keys and queries before the cosine.

    CLIP embeddings share a large common component, so their cosines bunch up near 1; without it, what is left is what
    tells defects apart. See `Head` for the arguments.
    """

    name = "zip-c"
    defaults = HeadSettings("zip-c", beta=8.0, aggregate="mean")

    def _prepare(self) -> None:
        # The keys are means over equally many views, so their mean is the mean of all view embeddings.
        self._centre = np.asarray(self.cache.keys.mean(axis=0), np.float32)

    def _project(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(rows - self._centre, np.float32)
