"""The Zip-Adapter of MVREC, training-free: a cache of labelled embeddings that classifies by similarity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import InputError, UsageError
from mvrec_edge.runtime.heads.aggregation import AGGREGATIONS, aggregate_probabilities, softmax
from mvrec_edge.runtime.support_cache import SupportCache

__all__ = ["TAU", "HeadPrediction", "Neighbour", "ZipAdapter"]

#: Temperature of the logits in MVREC.
TAU = 0.11

# Floats of the largest similarity matrix held at once, 64 MB: keeps memory flat for any number of keys.
_MOST_SIMILARITIES = 1 << 24


@dataclass(frozen=True)
class Neighbour:
    """A support instance close to a query.

    Attributes:
        index: Its place in the support cache.
        label: Its class name.
        source: Where it was read from.
        similarity: Cosine between the mean embeddings, -1 to 1.
    """

    index: int
    label: str
    source: str
    similarity: float


@dataclass(frozen=True)
class HeadPrediction:
    """What a head says about one region.

    Attributes:
        label: The most probable class.
        probabilities: float32 `[N]`, in the order of the cache's class names.
        nearest: The nearest support instances, the nearest first.
    """

    label: str
    probabilities: npt.NDArray[np.float32]
    nearest: tuple[Neighbour, ...]


class ZipAdapter:
    """Classifies embeddings against a support cache.

    With keys `K_i` (the mean over views of each support instance) and one-hot labels `Y_i`,
    `logits(q) = (1 / tau) * sum_i exp(-beta * (1 - cos(q, K_i))) * Y_i`, `tau = 0.11` (MVREC, section
    "Zip-Adapter", whose projection is the identity before fine-tuning).

    Args:
        cache: The support cache.
        beta: Sharpness of the similarity, > 0; by default what the cache says (32, as in the paper).
        aggregate: `"uncertainty"` classifies every view and averages the probabilities, the certain views
            weighing more (the released code); `"mean"` classifies the mean embedding (the paper's text). By default
            what the cache says.

    Raises:
        UsageError: `beta` or `aggregate` is not usable.
    """

    def __init__(self, cache: SupportCache, beta: float | None = None, aggregate: str | None = None) -> None:
        self.cache = cache
        self.beta = cache.head.beta if beta is None else float(beta)
        self.aggregate = cache.head.aggregate if aggregate is None else aggregate
        if not (np.isfinite(self.beta) and self.beta > 0):
            raise UsageError(f"beta must be above 0, not {self.beta}")
        if self.aggregate not in AGGREGATIONS:
            raise UsageError(f"there is no aggregation '{self.aggregate}'", fix="one of " + ", ".join(AGGREGATIONS))
        # Sorted by class, so that the sum over a class is a sum over a run of columns.
        order = np.argsort(cache.labels, kind="stable")
        self._keys = np.ascontiguousarray(_normalised(cache.keys)[order].T)
        self._order = order
        self._starts = np.searchsorted(cache.labels[order], np.arange(len(cache.class_names)))

    def logits(self, embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Computes one row of logits for each region; their softmax is the probability of each class.

        Args:
            embeddings: `[M, V, C]`, the V views of M regions; V need not be the cache's.

        Returns:
            float32 `[M, N]`. With `aggregate="uncertainty"` these are the logarithms of the averaged
            probabilities, since no logits of the average exist.

        Raises:
            InputError: An embedding is not finite, or is zero.
            UsageError: The shape does not fit the cache.
        """
        queries = self._checked(embeddings)
        if self.aggregate == "mean":
            return self._logits(_normalised(queries.mean(axis=1)))
        count, views, channels = queries.shape
        if not count:
            return np.empty((0, len(self.cache.class_names)), np.float32)
        per_view = self._logits(_normalised(queries.reshape(count * views, channels)))
        merged = aggregate_probabilities(softmax(per_view).reshape(count, views, -1))
        result: npt.NDArray[np.float32] = np.log(np.maximum(merged, np.finfo(np.float32).tiny))
        return result

    def probabilities(self, embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Computes the probability of each class, float32 `[M, N]`, rows summing to 1. See `logits`."""
        return softmax(self.logits(embeddings))

    def predict(self, embeddings: npt.NDArray[np.floating], neighbours: int = 3) -> list[HeadPrediction]:
        """Classifies regions.

        Args:
            embeddings: `[M, V, C]`.
            neighbours: How many of the nearest support instances to name.

        Returns:
            One prediction for each region, in order.

        Raises:
            InputError: An embedding is not finite, or is zero.
            UsageError: The shape does not fit the cache.
        """
        probabilities = self.probabilities(embeddings)
        means = _normalised(self._checked(embeddings).mean(axis=1))
        predictions = []
        for row, mean in zip(probabilities, means, strict=True):
            label = self.cache.class_names[int(row.argmax())]
            predictions.append(HeadPrediction(label, row, self._nearest(mean, neighbours)))
        return predictions

    def _nearest(self, query: npt.NDArray[np.float32], count: int) -> tuple[Neighbour, ...]:
        similarity = query @ self._keys
        count = min(count, len(similarity))
        # Only the few best are sorted, and a stable sort makes ties come out the same everywhere.
        best = np.argpartition(-similarity, count - 1)[:count] if count else np.empty(0, np.intp)
        best = best[np.argsort(-similarity[best], kind="stable")]
        indices = self._order[best]
        return tuple(
            Neighbour(
                index=int(index),
                label=self.cache.class_names[int(self.cache.labels[index])],
                source=self.cache.sources[int(index)],
                similarity=float(similarity[place]),
            )
            for place, index in zip(best, indices, strict=True)
        )

    def _checked(self, embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        channels = self.cache.embeddings.shape[-1]
        if embeddings.ndim != 3 or embeddings.shape[1] < 1 or embeddings.shape[2] != channels:
            raise UsageError(f"embeddings must be [M, V, {channels}], these are {list(embeddings.shape)}")
        if not np.isfinite(embeddings).all():
            raise InputError("an embedding holds a value that is not finite", fix="check the engine and the bundle")
        return embeddings.astype(np.float32, copy=False)

    def _logits(self, queries: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Logits of normalised queries: float32 `[Q, C]` to `[Q, N]`."""
        logits = np.empty((len(queries), len(self.cache.class_names)), np.float32)
        step = max(1, _MOST_SIMILARITIES // self._keys.shape[1])
        for start in range(0, len(queries), step):
            affinity = queries[start : start + step] @ self._keys
            affinity -= 1.0
            affinity *= self.beta
            np.exp(affinity, out=affinity)
            logits[start : start + step] = np.add.reduceat(affinity, self._starts, axis=1)
        logits /= TAU
        return logits


def _normalised(rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
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
