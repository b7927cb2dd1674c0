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
        # Without some instances the centre moves by -d, and so every key and query by d. The cosines follow from one
        # product with the keys about the present centre, which is close enough to the new one that no digits are lost.
        keys = rows - self._centre
        moves = self._moves_left_out(keys, instances)
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
        """The means of the instances of other images."""
        return np.asarray(self._centre - self._moves_left_out(self.cache.keys - self._centre, instances), np.float32)

    def _moves_left_out(
        self, keys: npt.NDArray[np.float32], instances: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.float32]:
        """What every key and query moves by without each of some instances and the others of its image, `[H, C]`.

        Without the k instances of an image it is the sum of their keys about the centre, over NK - k.
        """
        groups = self.cache.image_groups
        sums = np.zeros((int(groups.max()) + 1, keys.shape[1]), np.float32)
        np.add.at(sums, groups, keys)
        left = len(keys) - np.bincount(groups)
        moves: npt.NDArray[np.float32] = sums[groups[instances]] / left[groups[instances], None].astype(np.float32)
        return moves

    def _project(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(rows - self._centre, np.float32)
