"""How likely it is that the views not seen yet would change a decision.

What the missing views add to a region is unknown, but for every support instance all views are there: how its decision
moves from the views seen to all of them can be looked up. Each such move is carried over to the region at hand,
in embedding space, so that the region's own place among the keys counts; the spread of the outcomes gives the
probability that another class comes out on top.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads.head import Head
from mvrec_edge.runtime.heads.student import student_tail

__all__ = ["Margins", "UnseenViews", "change_probabilities", "change_probability", "evenly"]

_Floats = npt.NDArray[np.float64]

# Enough moves for a spread; more cost time at every decision and change little.
_MOST_MOVES = 48
_FEWEST_MOVES = 8
# Multiplications of one decision's comparisons with the keys: 0.05 s on one core of 10 GFLOP/s.
_MOST_WORK = 1 << 28
# A spread that is exactly zero (twins in the support) must not make anything certain.
_SMALLEST_SPREAD = 1e-6


class Margins:
    """What is expected of all views, seen from some of them.

    Attributes:
        label: Index of the class that the views seen say.
        expected: float64 `[N - 1]`, the expected margin of that class over each other one, all views seen.
        spread: float64 `[N - 1]`, the standard deviation of each, for one region more.
        freedom: Degrees of freedom of the spread.
    """

    def __init__(self, label: int, outcomes: _Floats) -> None:
        self.label = label
        margins = np.delete(outcomes[:, label : label + 1] - outcomes, label, axis=1)
        moves = len(margins)
        self.freedom = moves - 1
        self.expected = margins.mean(axis=0)
        # A region that is not among the support adds its own deviation to that of the mean.
        spread = margins.std(axis=0, ddof=1) * np.sqrt(1 + 1 / moves)
        self.spread = np.maximum(spread, _SMALLEST_SPREAD)


class UnseenViews:
    """Moves of the support instances from some views to all, for one head.

    Args:
        head: The head; its cache holds all views of every support instance, two instances at least.
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self.count = head.cache.embeddings.shape[1]
        cache = head.cache
        _, views, channels = cache.embeddings.shape
        chosen = evenly(cache.labels, views, channels, head.aggregate == "mean")
        self._support: npt.NDArray[np.float32] = head.rows(cache.embeddings[chosen])

    def margins(self, embeddings: npt.NDArray[np.float32], seen: npt.NDArray[np.intp]) -> Margins:
        """Carries the support's moves over to a region.

        Args:
            embeddings: float32 `[n, C]`, the views seen, 1 <= n < V.
            seen: int `[n]`, their indices in the plan, ascending.
        """
        support = self._support
        before = support[:, seen].mean(axis=1)
        rows = self.head.rows(embeddings)
        middle = rows.mean(axis=0)
        if self.head.aggregate == "mean":
            outcomes = self.head.scores_of_means(middle + support.mean(axis=1) - before)
        else:
            unseen = np.setdiff1d(np.arange(self.count), seen)
            known = np.broadcast_to(rows, (len(support), *rows.shape))
            views = np.concatenate([known, middle + support[:, unseen] - before[:, None]], axis=1)
            outcomes = np.exp(self.head.logits(views).astype(np.float64))
        label = int(self.head.logits(embeddings[None], seen.tolist())[0].argmax())
        return Margins(label, outcomes)


def change_probability(margins: Margins, spread_factors: Sequence[float]) -> float:
    """Probability that all views would say another class, 0 to 1.

    Each other class overtakes where its margin falls below zero, by the tail of Student's t; the classes are added up
    (Boole's inequality), so the sum is on the safe side.

    Args:
        margins: What is expected.
        spread_factors: Factors of the spread, equally probable.
    """
    return float(change_probabilities(margins, spread_factors).mean())


def change_probabilities(margins: Margins, spread_factors: Sequence[float] | _Floats) -> _Floats:
    """The same for each factor of the spread alone, float64 `[len(spread_factors)]`."""
    spreads = np.asarray(spread_factors, np.float64)[:, None] * margins.spread
    tails: _Floats = student_tail(margins.expected / spreads, margins.freedom).sum(axis=1)
    return np.minimum(tails, 1.0)


def evenly(labels: npt.NDArray[np.integer], views: int, channels: int, of_mean: bool) -> npt.NDArray[np.intp]:
    """Which support instances' moves are carried over: some, evenly from all classes, int `[K]`, ascending.

    Args:
        labels: int `[NK]`, the classes of all support instances.
        views: Views of an instance.
        channels: Length of an embedding.
        of_mean: Whether a head judges the mean embedding, which takes less work than judging each view.
    """
    count = len(labels)
    rows = 1 if of_mean else views
    affordable = max(_FEWEST_MOVES, _MOST_WORK // (rows * count * channels))
    kept = min(count, _MOST_MOVES, affordable)
    return np.sort(np.argsort(labels, kind="stable")[np.arange(kept) * count // kept])
