"""`zip-c`: the Zip-Adapter on centred embeddings, training-free."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads.kernel_head import KernelHead
from mvrec_edge.runtime.support.class_centre import class_centre, moves_left_out
from mvrec_edge.runtime.support.head_settings import HeadSettings

__all__ = ["CentredZipAdapter"]


class CentredZipAdapter(KernelHead):
    """Subtracts the centre of the support from keys and queries before the cosine.

    The centre is the mean over classes of their mean embeddings: with classes of one size the mean of all embeddings.
    CLIP embeddings share a large common component, so their cosines bunch up near 1; without it, what is left is what
    tells defects apart. See `KernelHead` for the arguments.
    """

    name = "zip-c"
    defaults = HeadSettings("zip-c", beta=8.0, aggregate="mean")
    has_centre = True

    def _prepare(self) -> None:
        self._centre = class_centre(self.cache.keys, self.cache.labels)

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
        """The centres of the instances of other images."""
        return np.asarray(self._centre - self._moves_left_out(self.cache.keys - self._centre, instances), np.float32)

    def _moves_left_out(
        self, keys: npt.NDArray[np.float32], instances: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.float32]:
        """What every key and query moves by without each of some instances and the others of its image, `[H, C]`."""
        moves = moves_left_out(keys, self.cache.labels, self.cache.image_groups)
        return np.asarray(moves[instances], np.float32)

    def _project(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(rows - self._centre, np.float32)
