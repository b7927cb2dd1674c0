"""A centre that follows the line: what all regions of a line have in common need not be what the support has."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.gradual import ViewUse
from mvrec_edge.runtime.heads import Head
from mvrec_edge.runtime.prediction import Prediction
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.class_centre import class_means_of
from mvrec_edge.runtime.wording import counted

__all__ = ["RECENTRING_SHOTS", "CentreMove", "Recentring", "RecentringTally", "check_one_centre", "check_recentring"]

_Floats = npt.NDArray[np.float32]

#: Fewest instances of every class: with fewer, too many first predictions are wrong to learn a centre from.
RECENTRING_SHOTS = 3

#: Regions that the line's class means are taken over.
WINDOW = 200

# A class's mean on the line is drawn towards that of the support, as if the window had so many regions more there.
_SHRINKAGE = np.float32(2)
# How far the centre may move, in standard deviations of the class means.
_FARTHEST = 1.0


@dataclass(frozen=True)
class CentreMove:
    """Where the centre is.

    Attributes:
        vector: float32 `[C]`, from the support's centre, as `Head.rows` has embeddings; None where it has not moved.
        length: Of that vector, in standard deviations of the class means about the support's centre.
    """

    vector: _Floats | None
    length: float


class Recentring:
    """The centre that regions are compared about, for one support cache.

    With `P_c` a class mean of the support, `L_c` the mean of the regions in the window that were said to be of class
    `c`, and `n_c` their number, the centre moves by the mean over all N classes of `n_c / (n_c + 2) (L_c - P_c)`. So a
    class that comes often draws it little more than one that comes now and then, and a single region draws it hardly at
    all. It moves by at most one standard deviation of the class means, `sqrt(mean over c of |P_c - centre|^2)`.
    A region counts only where both centres give it the same class: else a wrong class would draw the centre further
    towards itself. Several threads may share one; which regions a prediction follows then depends on their order.

    Args:
        head: A head that `check_recentring` lets pass.
    """

    def __init__(self, head: Head) -> None:
        self._head, cache = head, head.cache
        means = head.rows(cache.embeddings).mean(axis=1)
        self._classes = len(cache.class_names)
        self._means = class_means_of(means, cache.labels, self._classes)
        centred = self._means - self._means.mean(axis=0)
        spread = float(np.sqrt((centred * centred).sum(axis=1).mean()))
        self._deviation = max(spread, float(np.finfo(np.float32).tiny))
        self._seen: deque[tuple[int, _Floats]] = deque(maxlen=WINDOW)
        self._turn = threading.Lock()

    def see(
        self, embeddings: npt.NDArray[np.floating], found: Sequence[str], fixed: Sequence[str], skip: Sequence[bool]
    ) -> None:
        """Takes regions that were classified.

        Args:
            embeddings: `[M, V, C]`, their views.
            found: The class of each.
            fixed: The class of each about the support's centre.
            skip: Which are not to count, being like no class.
        """
        means = self._head.rows(embeddings).mean(axis=1)
        names = self._head.cache.class_names
        taken = [
            (names.index(label), mean)
            for label, about_fixed, left_out, mean in zip(found, fixed, skip, means, strict=True)
            if label == about_fixed and not left_out
        ]
        with self._turn:
            self._seen.extend(taken)

    def reset(self) -> None:
        """Goes back to the support's centre, and forgets the regions."""
        with self._turn:
            self._seen.clear()

    def move(self) -> CentreMove:
        """Where the centre is for the next region."""
        with self._turn:
            seen = list(self._seen)
        if not seen:
            return CentreMove(None, 0.0)
        labels = np.array([place for place, _ in seen])
        line = class_means_of(np.stack([mean for _, mean in seen]), labels, self._classes)
        counts = np.bincount(labels, minlength=self._classes).astype(np.float32)
        vector: _Floats = (counts / (counts + _SHRINKAGE)) @ (line - self._means) / np.float32(self._classes)
        length = float(np.linalg.norm(vector)) / self._deviation
        if length > _FARTHEST:
            vector = vector * np.float32(_FARTHEST / length)
        return CentreMove(vector, min(length, _FARTHEST))


class RecentringTally:
    """What a centre that follows the line has changed, prediction by prediction."""

    def __init__(self) -> None:
        self._regions = self._differ = 0
        self._moved = self._farthest = 0.0

    def see(self, predictions: Iterable[Prediction]) -> None:
        """Counts predictions; those about a fixed centre are passed over."""
        for each in predictions:
            if each.recentred is not None:
                self._regions += 1
                self._differ += each.nearest_class != each.recentred.fixed_class
                self._moved = each.recentred.moved
                self._farthest = max(self._farthest, self._moved)

    def in_words(self) -> str | None:
        """How far the centre has moved and how many decisions differ; None where nothing was counted."""
        if not self._regions:
            return None
        return (
            f"the centre has moved by {self._moved:.2f} standard deviations of the class means, at most by "
            f"{self._farthest:.2f}; {self._differ} of {counted(self._regions, 'decision')} differ from those about the "
            "support's centre"
        )


def check_one_centre(cache: SupportCache) -> None:
    """Refuses a cache of several parts, each of which has a centre of its own.

    Raises:
        UsageError: It has more than one part.
    """
    if len(cache.part_names) > 1:
        raise UsageError(
            "the centre cannot follow the line with a support cache of several parts",
            fix="leave out --recentre, or use a cache of one part",
        )


def check_recentring(head: Head, use: ViewUse) -> None:
    """Refuses a head, a cache or a use of views with which the centre cannot follow the line.

    Raises:
        UsageError: The head has no centre, a class has too few instances, or not all views are used.
    """
    if not head.has_centre:
        raise UsageError(
            f"the head {head.name} has no centre that could follow the line",
            fix="calibrate with --head auto, zip-c, zip-w or zip-vw, or leave out --recentre",
        )
    fewest, name = min((count, name) for name, count in head.cache.counts.items())
    if fewest < RECENTRING_SHOTS:
        raise UsageError(
            f"the centre cannot follow the line: the class '{name}' has {counted(fewest, 'instance')}, and it takes "
            f"{RECENTRING_SHOTS} of every class",
            fix="add labelled instances of the class, or leave out --recentre",
        )
    if not use.at_once:
        raise UsageError(
            "the centre cannot follow the line with some of the views: it is learned from all",
            fix="give --views all, or leave out --recentre",
        )
