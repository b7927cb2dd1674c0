"""What all heads have in common: embeddings against a support cache, to one decision for each region."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import InputError, UsageError
from mvrec_edge.runtime.heads.aggregation import AGGREGATIONS, aggregate_logits, softmax
from mvrec_edge.runtime.support.cache import HeadSettings, SupportCache

__all__ = ["TAU", "Head", "HeadPrediction", "Neighbour", "class_sums", "normalised"]

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
        similarity: Cosine between the projected mean embeddings, -1 to 1.
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


class Head(ABC):
    """Classifies embeddings against a support cache by similarity.

    With keys `K_i`, one-hot labels `Y_i` and a projection `z`,
    `logits(q) = (1 / tau) * sum_i exp(-beta * (1 - cos(z(q), z(K_i)))) * Y_i`, `tau = 0.11` (MVREC, section
    "Zip-Adapter"). A head says what its keys are and how it projects; the rest is here.

    Args:
        cache: The support cache.
        beta: Sharpness of the similarity, > 0; by default what the cache says.
        aggregate: `"uncertainty"` classifies every view and averages the probabilities, the certain views weighing
            more (the released code); `"mean"` classifies the mean embedding (the paper's text). By default what the
            cache says.
        temperature: Divides the logits before the softmax, > 0; by default what the cache says.

    Attributes:
        name: The head's name on the command line and in a cache.
        defaults: The published parameters.
        trains: Whether the head has to be trained on a support; one that has not costs next to nothing to fit anew.

    Raises:
        UsageError: `beta`, `aggregate` or `temperature` is not usable.
    """

    name: ClassVar[str] = ""
    defaults: ClassVar[HeadSettings] = HeadSettings()
    trains: ClassVar[bool] = False

    @classmethod
    def settings(cls, beta: float | None = None, aggregate: str | None = None) -> HeadSettings:
        """The head's settings, the published ones where none are given."""
        return dataclasses.replace(
            cls.defaults,
            beta=cls.defaults.beta if beta is None else float(beta),
            aggregate=cls.defaults.aggregate if aggregate is None else aggregate,
        )

    def __init__(
        self,
        cache: SupportCache,
        beta: float | None = None,
        aggregate: str | None = None,
        temperature: float | None = None,
    ) -> None:
        self.cache = cache
        self.beta = cache.head.beta if beta is None else float(beta)
        self.aggregate = cache.head.aggregate if aggregate is None else aggregate
        self.temperature = cache.head.temperature if temperature is None else float(temperature)
        for what, value in (("beta", self.beta), ("temperature", self.temperature)):
            if not (np.isfinite(value) and value > 0):
                raise UsageError(f"{what} must be above 0, not {value}")
        if self.aggregate not in AGGREGATIONS:
            raise UsageError(f"there is no aggregation '{self.aggregate}'", fix="one of " + ", ".join(AGGREGATIONS))
        self._prepare()
        # Sorted by class, so that the sum over a class is a sum over a run of columns.
        self._order = np.argsort(cache.labels, kind="stable")
        self._starts = np.searchsorted(cache.labels[self._order], np.arange(len(cache.class_names)))
        self._keys = np.ascontiguousarray(normalised(self._project(self._key_rows()))[self._order].T)

    def _prepare(self) -> None:  # noqa: B027 (most heads have nothing to prepare)
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

    @final
    def logits(self, embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Computes one row of logits for each region.

        Args:
            embeddings: `[M, V, C]`, the V views of M regions; V need not be the cache's.

        Returns:
            float32 `[M, N]`. With `aggregate="uncertainty"` these are the logarithms of the averaged probabilities,
            since no logits of the average exist.

        Raises:
            InputError: An embedding is not finite, or its projection is zero.
            UsageError: The shape does not fit the cache.
        """
        return self.logits_for(embeddings, [(self.beta, self.aggregate)])[0]

    @final
    def logits_for(
        self, embeddings: npt.NDArray[np.floating], choices: Sequence[tuple[float, str]]
    ) -> list[npt.NDArray[np.float32]]:
        """Computes logits for several choices of beta and aggregation, at little more than the price of one.

        Args:
            embeddings: `[M, V, C]`.
            choices: Pairs of beta and aggregation.

        Returns:
            For each choice float32 `[M, N]`, as `logits` would give.

        Raises:
            InputError: An embedding is not finite, or its projection is zero.
            UsageError: The shape does not fit the cache.
        """
        queries = self._checked(embeddings)
        count, views, _ = queries.shape
        results = [np.empty((count, len(self.cache.class_names)), np.float32) for _ in choices]
        step = max(1, _MOST_SIMILARITIES // (views * self._keys.shape[1]))
        for start in range(0, count, step):
            part = queries[start : start + step]
            for result, logits in zip(results, self._logits_of(part, choices, self._cosines), strict=True):
                result[start : start + step] = logits
        return results

    @final
    def logits_left_out(
        self,
        instances: npt.NDArray[np.integer],
        choices: Sequence[tuple[float, str]],
        progress: Callable[[int], None] = lambda _: None,
    ) -> list[npt.NDArray[np.float32]]:
        """Computes the logits of support instances, each as if its image were not in the support.

        An instance leaves with all its views, with the other instances of its image, and with what the head takes from
        the support as a whole, but for what was trained. The keys are computed once and the columns of the similarities
        are left out, so an instance costs little more than the classification of one region.

        Args:
            instances: int `[H]`, places in the support cache that `SupportCache.can_be_left_out` names.
            choices: Pairs of beta and aggregation.
            progress: Called with the number of instances after each part of them.

        Returns:
            For each choice float32 `[H, N]`, as `logits_for` gives with a cache that lacks the instance's image; a
            class that has no other image gets the least.
        """
        _, views, _ = self.cache.embeddings.shape
        groups = self.cache.image_groups
        results = [np.empty((len(instances), len(self.cache.class_names)), np.float32) for _ in choices]
        rows = self._key_rows()
        step = max(1, _MOST_SIMILARITIES // (views * len(rows)))
        for start in range(0, len(instances), step):
            left_out = instances[start : start + step]
            count = len(left_out)

            def cosines(
                queries: npt.NDArray[np.float32],
                left_out: npt.NDArray[np.integer] = left_out,
                count: int = count,
            ) -> npt.NDArray[np.float32]:
                each = queries.reshape(count, -1, queries.shape[1])
                found = self._cosines_left_out(each, left_out, rows)
                # The exponential of a column that is left out is 0 exactly.
                gone, columns = np.nonzero(groups[left_out][:, None] == groups[self._order])
                found.reshape(count, -1, len(rows))[gone, :, columns] = -np.inf
                return found

            part = self.cache.embeddings[left_out].astype(np.float32)
            for result, logits in zip(results, self._logits_of(part, choices, cosines), strict=True):
                result[start : start + step] = logits
            progress(count)
        return results

    def _logits_of(
        self,
        part: npt.NDArray[np.float32],
        choices: Sequence[tuple[float, str]],
        cosines_of: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Logits of some queries, float32 `[M, V, C]`, for each choice; cosines are computed once an aggregation."""
        count, views, _ = part.shape
        cosines: dict[str, npt.NDArray[np.float32]] = {}
        for beta, aggregate in choices:
            if aggregate not in cosines:
                rows = part.mean(axis=1) if aggregate == "mean" else part.reshape(count * views, -1)
                cosines[aggregate] = cosines_of(rows)
            sums = self._class_sums(cosines[aggregate], beta)
            if aggregate != "mean":
                sums = aggregate_logits(softmax(sums).reshape(count, views, -1))
            yield sums

    @final
    def probabilities(self, embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Computes the probability of each class, float32 `[M, N]`, rows summing to 1. See `logits`."""
        return softmax(self.logits(embeddings) / np.float32(self.temperature))

    @final
    def predict(self, embeddings: npt.NDArray[np.floating], neighbours: int = 3) -> list[HeadPrediction]:
        """Classifies regions.

        Args:
            embeddings: `[M, V, C]`.
            neighbours: How many of the nearest support instances to name.

        Returns:
            One prediction for each region, in order.

        Raises:
            InputError: An embedding is not finite, or its projection is zero.
            UsageError: The shape does not fit the cache.
        """
        probabilities = self.probabilities(embeddings)
        if not len(probabilities):
            return []
        means = normalised(self._project(self._checked(embeddings).mean(axis=1)))
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

    def _class_sums(self, cosines: npt.NDArray[np.float32], beta: float) -> npt.NDArray[np.float32]:
        """Logits from cosines: float32 `[Q, NK]` to `[Q, N]`."""
        return class_sums(cosines, self._starts, beta)


def class_sums(
    cosines: npt.NDArray[np.float32], starts: npt.NDArray[np.integer], beta: float, *, in_place: bool = False
) -> npt.NDArray[np.float32]:
    """Logits from cosines, as in `Head`: float32 `[Q, NK]` to `[Q, N]`.

    Args:
        cosines: Between queries and keys, these in the order of the classes.
        starts: int `[N]`, where each class begins.
        beta: Sharpness.
        in_place: Whether the cosines may be used up.
    """
    affinity = np.subtract(cosines, np.float32(1.0), out=cosines if in_place else None)
    affinity *= np.float32(beta)
    np.exp(affinity, out=affinity)
    sums: npt.NDArray[np.float32] = np.add.reduceat(affinity, starts, axis=1)
    sums /= np.float32(TAU)
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
