"""What all heads have in common: embeddings against a support cache, to one decision for each region."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import InputError, UsageError
from mvrec_edge.runtime.heads.aggregation import AGGREGATIONS, softmax
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.head_settings import HeadSettings

__all__ = ["MOST_SIMILARITIES", "Head", "HeadPrediction", "Neighbour"]

#: Floats of the largest similarity matrix held at once, 64 MB: keeps memory flat for any number of keys.
MOST_SIMILARITIES = 1 << 24

# No encoder gives more: a support cache holds float16.
_LARGEST = 1e12


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
    """Classifies embeddings against a support cache.

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
        aggregations: The aggregations that the head knows.
        has_centre: Whether the head compares queries and keys about the centre of the support.
        trains: Whether the head has to be trained on a support; one that has not costs next to nothing to fit anew.

    Raises:
        UsageError: `beta`, `aggregate` or `temperature` is not usable.
    """

    name: ClassVar[str] = ""
    defaults: ClassVar[HeadSettings] = HeadSettings()
    aggregations: ClassVar[tuple[str, ...]] = AGGREGATIONS
    has_centre: ClassVar[bool] = False
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
        if self.aggregate not in self.aggregations:
            known = ", ".join(self.aggregations)
            raise UsageError(f"the head {self.name} has no aggregation '{self.aggregate}'", fix=f"one of {known}")
        self._open()

    def _open(self) -> None:  # noqa: B027 (a head may need nothing)
        """Computes what the head needs of its cache, once."""

    @final
    def logits(
        self,
        embeddings: npt.NDArray[np.floating],
        views: Sequence[int] | None = None,
        move: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Computes one row of logits for each region.

        Args:
            embeddings: `[M, P, C]`, P views of M regions; P need not be the cache's V.
            views: Which of the cache's views these are, by their place in the view plan; by default all V where there
                are
                as many, and else it is not known. Heads that compare view with view use it.
            move: float32 `[C]`, by how much the centre that queries are compared about has moved, as `rows` has them;
                by default not at all. The keys stay about the centre of the support. Only for a head with a centre
                (`has_centre`).

        Returns:
            float32 `[M, N]`. With `aggregate="uncertainty"` these are the logarithms of the averaged probabilities,
            since no logits of the average exist.

        Raises:
            InputError: An embedding is not finite, or its projection is zero.
            UsageError: The shape does not fit the cache.
        """
        queries = self._checked(embeddings)
        places = self._places(queries.shape[1], views)
        result = np.empty((len(queries), len(self.cache.class_names)), np.float32)
        step = max(1, MOST_SIMILARITIES // (queries.shape[1] * len(self.cache.labels)))
        for start in range(0, len(queries), step):
            result[start : start + step] = self._logits(self._moved(queries[start : start + step], move), places)
        return result

    @abstractmethod
    def _logits(self, queries: npt.NDArray[np.float32], views: npt.NDArray[np.intp] | None) -> npt.NDArray[np.float32]:
        """Logits of a part of the queries, float32 `[M, P, C]` to `[M, N]`.

        Args:
            queries: The regions, as `rows` gives them, about where the centre has moved.
            views: int `[P]`, which of the cache's views these are; None where it is not known.
        """

    @abstractmethod
    def logits_left_out(
        self, instances: npt.NDArray[np.integer], progress: Callable[[int], None] = lambda _: None
    ) -> npt.NDArray[np.float32]:
        """Computes the logits of support instances, each as if its image were not in the support.

        An instance leaves with all its views, with the other instances of its image, and with what the head takes from
        the support as a whole, but for what was trained.

        Args:
            instances: int `[H]`, places in the support cache that `SupportCache.can_be_left_out` names.
            progress: Called with the number of instances after each part of them.

        Returns:
            float32 `[H, N]`, as `logits` gives with a cache that lacks the instance's image; a class that has no other
            image gets the least.
        """

    @abstractmethod
    def rows(self, embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """What is averaged over the views: embeddings as they are, or of length 1, float32 `[..., C]`."""

    @abstractmethod
    def scores_of_means(self, means: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """What the head compares, where it judges means over views, on the scale on which views add up.

        Args:
            means: float32 `[K, C]`, means of `rows`.

        Returns:
            float64 `[K, N]`, the largest the decision. A head that compares view with view judges a mean by its
            stand-in for few views.
        """

    @abstractmethod
    def _similarities(self, queries: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Cosines between regions and support instances as the head sees their means, `[M, P, C]` to `[M, NK]`.

        The regions are as `rows` gives them.
        """

    @final
    def probabilities(
        self,
        embeddings: npt.NDArray[np.floating],
        views: Sequence[int] | None = None,
        move: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Computes the probability of each class, float32 `[M, N]`, rows summing to 1. See `logits`."""
        return softmax(self.logits(embeddings, views, move) / np.float32(self.temperature))

    @final
    def predict(
        self,
        embeddings: npt.NDArray[np.floating],
        neighbours: int = 3,
        views: Sequence[int] | None = None,
        move: npt.NDArray[np.float32] | None = None,
    ) -> list[HeadPrediction]:
        """Classifies regions.

        Args:
            embeddings: `[M, P, C]`.
            neighbours: How many of the nearest support instances to name.
            views: Which of the cache's views these are; see `logits`.
            move: By how much the centre has moved; see `logits`.

        Returns:
            One prediction for each region, in order.

        Raises:
            InputError: An embedding is not finite, or its projection is zero.
            UsageError: The shape does not fit the cache.
        """
        probabilities = self.probabilities(embeddings, views, move)
        if not len(probabilities):
            return []
        similarities = self._similarities(self._moved(self._checked(embeddings), move))
        return [
            HeadPrediction(self.cache.class_names[int(row.argmax())], row, self._nearest(similar, neighbours))
            for row, similar in zip(probabilities, similarities, strict=True)
        ]

    def _nearest(self, similarity: npt.NDArray[np.float32], count: int) -> tuple[Neighbour, ...]:
        count = min(count, len(similarity))
        # Only the few best are sorted, and a stable sort makes ties come out the same everywhere.
        best = np.argpartition(-similarity, count - 1)[:count] if count else np.empty(0, np.intp)
        best = best[np.argsort(-similarity[best], kind="stable")]
        return tuple(
            Neighbour(
                index=int(index),
                label=self.cache.class_names[int(self.cache.labels[index])],
                source=self.cache.sources[int(index)],
                similarity=float(similarity[index]),
            )
            for index in best
        )

    def _moved(self, queries: npt.NDArray[np.float32], move: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
        if move is None:
            return self.rows(queries)
        if not self.has_centre:
            raise UsageError(f"the head {self.name} has no centre that could move")
        return self.rows(queries) - move

    def _checked(self, embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        channels = self.cache.embeddings.shape[-1]
        if embeddings.ndim != 3 or embeddings.shape[1] < 1 or embeddings.shape[2] != channels:
            raise UsageError(f"embeddings must be [M, V, {channels}], these are {list(embeddings.shape)}")
        # Compared as they come: a larger number would be infinite in float32, or its square. NaN is within no bounds.
        if not float(np.abs(embeddings).max(initial=0)) <= _LARGEST:
            raise InputError(
                "an embedding holds a value that is not finite, or too large", fix="check the engine and the bundle"
            )
        return embeddings.astype(np.float32, copy=False)

    def _places(self, count: int, views: Sequence[int] | None) -> npt.NDArray[np.intp] | None:
        there = self.cache.embeddings.shape[1]
        if views is None:
            return np.arange(there) if count == there else None
        if len(views) != count or len(set(views)) != count or min(views) < 0 or max(views) >= there:
            raise UsageError(
                f"views must be {count} different numbers from 0 to {there - 1}, these are {list(views)[:30]}"
            )
        return np.asarray(views, np.intp)
