"""What the whitened heads have in common: unit views, compared in a metric that the support's own scatter gives."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.heads.head import Head
from mvrec_edge.runtime.support.whitening import Metric, unit_rows

__all__ = ["FEWEST_VIEWS", "WhitenedHead", "log_class_means"]

#: With fewer views than this their mean is compared, and not view with view.
FEWEST_VIEWS = 9


class WhitenedHead(Head):
    """Classifies unit view embeddings in the metric of a support or, left out, of a support without an image.

    A head says what it makes of a metric; see `mvrec_edge.runtime.support.whitening.Whitening` for the metric itself.

    Attributes:
        weight: How much it counts in `average`.
    """

    aggregations = ("mean",)
    has_centre = True
    weight: ClassVar[float] = 2.0

    @abstractmethod
    def logits_in(
        self, metric: Metric, units: npt.NDArray[np.float32], views: npt.NDArray[np.intp] | None
    ) -> npt.NDArray[np.float32]:
        """Logits of unit views in a metric, float32 `[M, P, C]` to `[M, N]`; see `Head.logits`."""

    @abstractmethod
    def scores_in(self, metric: Metric, means: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Scores of means of unit views in a metric, `[K, C]` to `[K, N]`; see `Head.scores_of_means`."""

    def _logits(self, queries: npt.NDArray[np.float32], views: npt.NDArray[np.intp] | None) -> npt.NDArray[np.float32]:
        return self.logits_in(self.cache.whitening, queries, views)

    @final
    def logits_left_out(
        self, instances: npt.NDArray[np.integer], progress: Callable[[int], None] = lambda _: None
    ) -> npt.NDArray[np.float32]:
        """See `Head.logits_left_out`."""
        (result,) = self._left_out_by((self,), instances, progress)
        return result

    def _left_out_by(
        self, heads: Sequence[WhitenedHead], instances: npt.NDArray[np.integer], progress: Callable[[int], None]
    ) -> list[npt.NDArray[np.float32]]:
        """What each of some heads over this support says of left-out instances, float32 `[H, N]` each, all views."""
        results = [np.empty((len(instances), len(self.cache.class_names)), np.float32) for _ in heads]
        everything = np.arange(self.cache.embeddings.shape[1])
        for instance, metric in self.metrics_left_out(instances):
            own = self.cache.whitening.units[[instance]]
            for result, head in zip(results, heads, strict=True):
                result[instances == instance] = head.logits_in(metric, own, everything)
            progress(1)
        return results

    def metrics_left_out(self, instances: npt.NDArray[np.integer]) -> Iterator[tuple[int, Metric]]:
        """Each instance with the metric of the support without its image, for its own views; images come one by one."""
        left_out = self.cache.left_out_whitening
        for instance in np.asarray(instances)[np.argsort(left_out.groups[instances], kind="stable")]:
            yield int(instance), left_out.without(int(instance)).own_views(int(instance))

    def _checked(self, embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        checked = super()._checked(embeddings)
        if not checked.any(axis=2).all():
            raise InputError("an embedding is zero, so it has no direction", fix="check the engine and the bundle")
        return checked

    def rows(self, embeddings: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Embeddings of length 1."""
        return unit_rows(embeddings)

    @final
    def scores_of_means(self, means: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """See `Head.scores_of_means`."""
        return self.scores_in(self.cache.whitening, means)

    def _similarities(self, queries: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self.cache.whitening.instance_cosines(queries.mean(axis=1))


def log_class_means(
    cosines: npt.NDArray[np.float32], class_weights: npt.NDArray[np.float32], beta: float
) -> npt.NDArray[np.float32]:
    """Logarithms of the means over classes of `exp(-beta (1 - cosine))`, float32 `[M, K]` to `[M, N]`.

    A class without instances gets what a class at cosine -1 gets, the least that there is.
    """
    means = np.exp(np.float32(beta) * (cosines - np.float32(1))) @ class_weights
    least = max(math.exp(-2 * beta), float(np.finfo(np.float32).tiny))
    return np.asarray(np.log(np.maximum(means, np.float32(least))), np.float32)
