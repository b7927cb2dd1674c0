"""`average`: several heads that differ in kind, averaged; training-free."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads.whitened_head import FEWEST_VIEWS, WhitenedHead, log_class_means
from mvrec_edge.runtime.heads.whitened_means import WhitenedMeans
from mvrec_edge.runtime.heads.whitened_views import WhitenedViews
from mvrec_edge.runtime.support.head_settings import HeadSettings
from mvrec_edge.runtime.support.whitening import Metric

__all__ = ["AveragedHeads", "CentredMeans"]


class CentredMeans(WhitenedHead):
    """`zip-c` as one of the averaged: on unit embeddings, and with the logarithms of its class means for logits.

    `logits_c = log(mean over i in c of exp(-beta (1 - cos(z, M_i - mu))))`. The class is that of `zip-c` where
    embeddings have one length. Logarithms take a temperature better: the probabilities of the class sums themselves
    stay near even.
    """

    name = "zip-c"
    defaults = HeadSettings("zip-c", beta=8.0, aggregate="mean")
    # It does not know which directions tell nothing, and is less often right where both others agree.
    weight = 1.0

    def logits_in(
        self,
        metric: Metric,
        units: npt.NDArray[np.float32],
        views: npt.NDArray[np.intp] | None,  # noqa: ARG002 (means are compared)
    ) -> npt.NDArray[np.float32]:
        """See `WhitenedHead.logits_in`."""
        cosines = metric.centred_cosines(units.mean(axis=1))
        return log_class_means(cosines, metric.class_weights, self.beta)

    def scores_in(self, metric: Metric, means: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """See `WhitenedHead.scores_in`."""
        cosines = metric.centred_cosines(means)
        return log_class_means(cosines, metric.class_weights, self.beta).astype(np.float64)


_EXPERTS: dict[str, type[WhitenedHead]] = {each.name: each for each in (WhitenedMeans, WhitenedViews, CentredMeans)}


class AveragedHeads(WhitenedHead):
    """Averages the logarithms of the probabilities that several heads give, each at its own temperature.

    `logits = sum over experts e of w_e log softmax(logits_e / T_e) / sum of w_e`, `w_e` 2 for the whitened heads and
    1 for `zip-c`. Where one expert is wrong, the others mostly are not: `zip-w` and `zip-vw` know which directions
    tell nothing, and `zip-c` does not depend on a scatter that a few instances estimate badly. `zip-vw` is left out
    where fewer than `FEWEST_VIEWS` views are seen. See `Head` for the arguments.

    Attributes:
        experts: The heads.

    Raises:
        UsageError: The cache names an expert that there is not.
    """

    name = "average"
    defaults = HeadSettings(
        "average",
        beta=1.0,
        aggregate="mean",
        # For supports that leave none out. At 2 shots of a class, where each left-out instance meets a class of one,
        # it has the smallest log-loss over the supports that it was tried on.
        temperature=1.5,
        experts=(WhitenedMeans.defaults, WhitenedViews.defaults, CentredMeans.defaults),
    )

    def _open(self) -> None:
        cache = self.cache
        settings = cache.head.experts or self.defaults.experts
        if unknown := [each.name for each in settings if each.name not in _EXPERTS]:
            raise UsageError(f"there is no expert '{unknown[0]}' to average", fix="one of " + ", ".join(_EXPERTS))
        self.experts = tuple(_EXPERTS[each.name](dataclasses.replace(cache, head=each)) for each in settings)

    def logits_in(
        self, metric: Metric, units: npt.NDArray[np.float32], views: npt.NDArray[np.intp] | None
    ) -> npt.NDArray[np.float32]:
        """See `WhitenedHead.logits_in`."""
        few = views is None or len(views) < FEWEST_VIEWS
        taken = self._taken(few)
        logits = [expert.logits_in(metric, units, views) for expert in taken]
        return average(logits, [expert.cache.head for expert in taken])

    def scores_in(self, metric: Metric, means: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """See `WhitenedHead.scores_in`."""
        taken = self._taken(True)
        scores = [expert.scores_in(metric, means) for expert in taken]
        return average(scores, [expert.cache.head for expert in taken]).astype(np.float64)

    def expert_logits_left_out(
        self, instances: npt.NDArray[np.integer], progress: Callable[[int], None] = lambda _: None
    ) -> list[npt.NDArray[np.float32]]:
        """What `logits_left_out` gives for each of the experts by itself, float32 `[H, N]` each, with all views."""
        return self._left_out_by(self.experts, instances, progress)

    def _taken(self, few: bool) -> list[WhitenedHead]:
        of_means = [expert for expert in self.experts if not isinstance(expert, WhitenedViews)]
        return of_means if few and of_means else list(self.experts)


def average(logits: Sequence[npt.NDArray[np.floating]], experts: Sequence[HeadSettings]) -> npt.NDArray[np.float32]:
    """The weighted mean of `log softmax(logits / temperature)` over heads, `[M, N]` each, float32 `[M, N]`."""
    weights = [_EXPERTS[expert.name].weight for expert in experts]
    total = np.zeros(logits[0].shape, np.float64)
    for each, expert, weight in zip(logits, experts, weights, strict=True):
        total += weight * _log_softmax(each / expert.temperature)
    return (total / sum(weights)).astype(np.float32)


def _log_softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
