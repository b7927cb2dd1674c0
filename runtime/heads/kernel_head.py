"""What the heads of the paper have in common: exponentials of cosines with keys, summed over classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import final

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import InputError, SupportError
from mvrec_edge.runtime.heads.aggregation import aggregate_logits, softmax
from mvrec_edge.runtime.heads.head import MOST_SIMILARITIES, Head

__all__ = ["TAU", "KernelHead", "class_shares", "class_sums", "normalised"]

#: Temperature of the logits in MVREC.
TAU = 0.11


class KernelHead(Head):
    """Classifies by the similarity of queries and keys.

    With keys `K_i`, one-hot labels `Y_i` and a projection `z`,
    `logits(q) = (1 / tau) * sum_i r_i exp(-beta * (1 - cos(z(q), z(K_i)))) * Y_i`, `tau = 0.11` (MVREC, section
    "Zip-Adapter"). MVREC has no `r_i`: with classes of different sizes its sums favour the larger class. Here `r_i`
    is the size of the smallest class over that of the instance's class, so 1 where all are equal. A head says what
    its keys are and how it projects; the rest is here.

    Raises:
        SupportError: A key is zero about the centre, so it has no direction.
    """

    def _open(self) -> None:
        cache = self.cache
        self._prepare()
        # Sorted by class, so that the sum over a class is a sum over a run of columns.
        self._order = np.argsort(cache.labels, kind="stable")
        self._starts = np.searchsorted(cache.labels[self._order], np.arange(len(cache.class_names)))
        self._shares = class_shares(np.bincount(cache.labels, minlength=len(cache.class_names)))
        keys = self._project(self._key_rows())
        if not keys.any(axis=1).all():
            raise SupportError(
                "an example lies at the centre of all examples, so nothing can be compared with it",
                fix="check whether the same images are labelled as several classes",
            )
        self._keys = np.ascontiguousarray(normalised(keys)[self._order].T)

    def _prepare(self) -> None:
        """Computes what `_project` needs of the cache, once."""

    def _key_rows(self) -> npt.NDArray[np.float32]:
        """The keys before projection, float32 `[NK, C]`: the mean over views of each support instance."""
        return self.cache.keys

    def _cosines_left_out(
        self,
        queries: npt.NDArray[np.float32],
        instances: npt.NDArray[np.integer],  # noqa: ARG002 (for heads that project by the support)
        rows: npt.NDArray[np.float32],  # noqa: ARG002
    ) -> npt.NDArray[np.float32]:
        """Cosines between queries and keys, projected as without one instance and the others of its image.

        A head whose projection is made of the support instances has to say how it changes.

        Args:
            queries: float32 `[M, Q, C]`.
            instances: int `[M]`, the instance that is left out for each M.
            rows: What `_key_rows` gives.

        Returns:
            float32 `[M * Q, NK]`, keys in the order of the classes; the columns of what is left out are not used.
        """
        return self._cosines(queries.reshape(-1, queries.shape[-1]))

    def origins_left_out(self, instances: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """What is subtracted from keys and queries when each of some support instances is left out with its image.

        It is float32 `[H, C]`.

        A head that does not train and whose projection is such a shift has to say so.

        Args:
            instances: int `[H]`, places in the support cache, which has instances of other images.
        """
        raise NotImplementedError(f"the projection of {self.name} is no shift")

    def _cosines(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Cosines between rows and keys, float32 `[R, C]` to `[R, NK]`, keys in the order of the classes."""
        cosines: npt.NDArray[np.float32] = normalised(self._project(rows)) @ self._keys
        return cosines

    @abstractmethod
    def _project(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Projects keys and queries alike, float32 `[R, C]` to `[R, C]`."""

    def _logits(
        self,
        queries: npt.NDArray[np.float32],
        views: npt.NDArray[np.intp] | None,  # noqa: ARG002 (no view is compared with itself)
    ) -> npt.NDArray[np.float32]:
        return self._logits_of(queries, self._cosines, self._shares)

    @final
    def logits_left_out(
        self, instances: npt.NDArray[np.integer], progress: Callable[[int], None] = lambda _: None
    ) -> npt.NDArray[np.float32]:
        """See `Head.logits_left_out`.

        The keys are computed once and the columns of the similarities are left out, so an instance costs little more
        than the classification of one region.
        """
        _, views, _ = self.cache.embeddings.shape
        groups, labels = self.cache.image_groups, self.cache.labels
        classes = len(self.cache.class_names)
        result = np.empty((len(instances), classes), np.float32)
        rows = self._key_rows()
        step = max(1, MOST_SIMILARITIES // (views * len(rows)))
        for start in range(0, len(instances), step):
            left_out = instances[start : start + step]
            count = len(left_out)
            gone = groups[left_out][:, None] == groups[self._order]

            def cosines(
                queries: npt.NDArray[np.float32],
                left_out: npt.NDArray[np.integer] = left_out,
                gone: npt.NDArray[np.bool_] = gone,
            ) -> npt.NDArray[np.float32]:
                each = queries.reshape(len(left_out), -1, queries.shape[1])
                found = self._cosines_left_out(each, left_out, rows)
                # The exponential of a column that is left out is 0 exactly.
                found.reshape(len(left_out), -1, len(rows))[
                    np.broadcast_to(gone[:, None], (len(left_out), each.shape[1], len(rows)))
                ] = -np.inf
                return found

            left = np.stack([np.bincount(labels[self._order][~row], minlength=classes) for row in gone])
            part = self.cache.embeddings[left_out].astype(np.float32)
            result[start : start + step] = self._logits_of(part, cosines, class_shares(left))
            progress(count)
        return result

    def _logits_of(
        self,
        part: npt.NDArray[np.float32],
        cosines_of: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
        shares: npt.NDArray[np.float32],
    ) -> npt.NDArray[np.float32]:
        """Logits of some queries, float32 `[M, V, C]` to `[M, N]`; shares are `[N]`, or `[M, N]` for each query."""
        count, views, _ = part.shape
        if self.aggregate == "mean":
            return class_sums(cosines_of(part.mean(axis=1)), self._starts, self.beta, shares)
        if shares.ndim > 1:
            shares = np.repeat(shares, views, axis=0)
        sums = class_sums(cosines_of(part.reshape(count * views, -1)), self._starts, self.beta, shares)
        return aggregate_logits(softmax(sums).reshape(count, views, -1))

    def rows(self, embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """The embeddings as they are."""
        return embeddings.astype(np.float32, copy=False)

    def scores_of_means(self, means: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Logarithms of the class sums: those are exponentials of cosines, so their logarithm is nearly linear."""
        sums = class_sums(self._cosines(means), self._starts, self.beta, self._shares).astype(np.float64)
        return np.log(np.maximum(sums, np.finfo(np.float32).tiny))

    def _similarities(self, queries: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        found = np.empty((len(queries), len(self._order)), np.float32)
        found[:, self._order] = normalised(self._project(queries.mean(axis=1))) @ self._keys
        return found


def class_shares(sizes: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """What the sum over each class is multiplied by: the smallest class's size over its own, float32 like `sizes`.

    The scale is that of the smallest class and not of the mean one, so that a class that grows leaves all others as
    they are.

    Args:
        sizes: int `[..., N]`; a class without instances is not the smallest.
    """
    there = np.where(sizes > 0, sizes, np.iinfo(np.int64).max)
    shares: npt.NDArray[np.float32] = (there.min(axis=-1, keepdims=True) / there).astype(np.float32)
    return shares


def class_sums(
    cosines: npt.NDArray[np.float32],
    starts: npt.NDArray[np.integer],
    beta: float,
    shares: npt.NDArray[np.float32],
    *,
    in_place: bool = False,
) -> npt.NDArray[np.float32]:
    """Logits from cosines, as in `KernelHead`: float32 `[Q, NK]` to `[Q, N]`.

    Args:
        cosines: Between queries and keys, these in the order of the classes.
        starts: int `[N]`, where each class begins.
        beta: Sharpness.
        shares: What each class's sum is multiplied by, float32 `[N]` or `[Q, N]`; see `class_shares`.
        in_place: Whether the cosines may be used up.
    """
    affinity = np.subtract(cosines, np.float32(1.0), out=cosines if in_place else None)
    affinity *= np.float32(beta)
    np.exp(affinity, out=affinity)
    sums: npt.NDArray[np.float32] = np.add.reduceat(affinity, starts, axis=1)
    sums /= np.float32(TAU)
    sums *= shares
    return sums


def normalised(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Scales rows to length 1, float32 `[R, C]`.

    Raises:
        InputError: A row is zero, so it has no direction.
    """
    rows = rows.astype(np.float32, copy=False)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (length > 0).all():
        raise InputError("an embedding is zero, so it has no direction", fix="check the engine and the bundle")
    result: npt.NDArray[np.float32] = rows / length
    return result
