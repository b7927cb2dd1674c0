"""`zip-c`: the Zip-Adapter on centred embeddings, training-free."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads.head import Head
from mvrec_edge.runtime.support.cache import HeadSettings

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

    def _cosines_left_out(
        self,
        queries: npt.NDArray[np.float32],
        instances: npt.NDArray[np.integer],
        rows: npt.NDArray[np.float32],
    ) -> npt.NDArray[np.float32]:
        # Without instance i the centre moves by -d, d = (K_i - centre) / (NK - 1), so every key and query moves by d.
        # The cosines follow from one product with the keys about the present centre, which is close enough to the new
        # one that no digits are lost.
        keys = rows - self._centre
        moves = keys[instances] / np.float32(len(rows) - 1)
        columns = keys[self._order].T
        moved = queries - self._centre + moves[:, None]
        count, each, channels = moved.shape
        cosines: npt.NDArray[np.float32] = (moved.reshape(-1, channels) @ columns).reshape(count, each, -1)
        cosines += np.einsum("mqc,mc->mq", moved, moves)[..., None]
        squares = np.einsum("ck,ck->k", columns, columns) + np.einsum("mc,mc->m", moves, moves)[:, None]
        lengths = squares + 2 * (moves @ columns)
        # A key or query at the new centre has no direction; its cosine is taken as zero.
        usable = lengths > 1e-6 * squares
        cosines *= np.where(usable, 1 / np.sqrt(np.where(usable, lengths, 1)), 0).astype(np.float32)[:, None]
        cosines /= np.maximum(np.linalg.norm(moved, axis=2, keepdims=True), np.finfo(np.float32).tiny)
        return cosines.reshape(count * each, -1)

    def origins_left_out(self, instances: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """The means of the others."""
        moves = (self.cache.keys[instances] - self._centre) / np.float32(len(self.cache.labels) - 1)
        return np.asarray(self._centre - moves, np.float32)

    def _project(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(rows - self._centre, np.float32)
