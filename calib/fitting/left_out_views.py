"""What some views of a support instance say of all its views, each instance left out in turn, all at once.

The definition is `UnseenViews` with a head on a cache that lacks the instance and the others of its image. A whitened
head is asked with the metric that it has without them. A kernel head only shifts keys and queries, and without some
instances it shifts them otherwise by a vector. So the products of the moves (a view of a support instance less the mean
of that instance's views seen) with all keys are computed once for all instances left out, and what depends on the one
left out comes as small terms beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads import open_head
from mvrec_edge.runtime.heads.aggregation import aggregate_logits, softmax
from mvrec_edge.runtime.heads.evidence import Margins, evenly
from mvrec_edge.runtime.heads.kernel_head import KernelHead, class_shares, class_sums
from mvrec_edge.runtime.heads.whitened_head import WhitenedHead
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["LeftOutViews", "left_out_views"]

_Floats = npt.NDArray[np.float32]
# Squared lengths below this share of what they are the difference of are rounding.
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class LeftOutViews:
    """One support instance, classified by the others group by group.

    Attributes:
        margins: For each group but the last: what was expected of all views, seen from it and those before.
        label: Index of the class that all views say.
    """

    margins: tuple[Margins, ...]
    label: int


def left_out_views(
    cache: SupportCache, groups: Sequence[Sequence[int]], instances: npt.NDArray[np.integer]
) -> Iterator[LeftOutViews]:
    """Classifies support instances by the others, group by group of their views.

    Args:
        cache: The support cache with a head that does not train.
        groups: Indices of the views; together each view once.
        instances: int `[H]`, places in the support that `SupportCache.can_be_left_out` names.

    Yields:
        One for each instance; the order is that of `instances`.
    """
    head = open_head(cache)
    if isinstance(head, WhitenedHead):
        return _by_whitened(head, groups, instances)
    assert isinstance(head, KernelHead)  # noqa: S101 (there is no third kind)
    return _by_kernel(head, groups, instances)


def _carried(
    cache: SupportCache, image_groups: npt.NDArray[np.int64], instance: int, of_mean: bool
) -> npt.NDArray[np.intp]:
    """The instances of other images whose moves are carried over to one, int `[K]`."""
    _, views, channels = cache.embeddings.shape
    rest = np.flatnonzero(image_groups != image_groups[instance])
    return rest[evenly(cache.labels[rest], views, channels, of_mean)]


def _by_whitened(
    head: WhitenedHead, groups: Sequence[Sequence[int]], instances: npt.NDArray[np.integer]
) -> Iterator[LeftOutViews]:
    units, image_groups = head.cache.whitening.units, head.cache.image_groups
    seen = [np.sort(np.concatenate([np.asarray(group, np.intp) for group in groups[:stop]])) for stop in _stops(groups)]
    found: dict[int, LeftOutViews] = {}
    for instance, metric in head.metrics_left_out(instances):
        carried = units[_carried(head.cache, image_groups, instance, of_mean=True)]
        whole = carried.mean(axis=1)
        margins = []
        for views in seen[:-1]:
            own = units[[instance]][:, views]
            label = int(head.logits_in(metric, own, views)[0].argmax())
            outcomes = own[0].mean(axis=0) + whole - carried[:, views].mean(axis=1)
            margins.append(Margins(label, head.scores_in(metric, outcomes)))
        label = int(head.logits_in(metric, units[[instance]], seen[-1])[0].argmax())
        found[instance] = LeftOutViews(tuple(margins), label)
    for instance in instances:
        yield found[int(instance)]


def _stops(groups: Sequence[Sequence[int]]) -> range:
    return range(1, len(groups) + 1)


def _by_kernel(
    head: KernelHead, groups: Sequence[Sequence[int]], instances: npt.NDArray[np.integer]
) -> Iterator[LeftOutViews]:
    """The same for a head that shifts keys and queries.

    Beside the views of the instances left out and of those whose moves are carried over (each about 100 at the most),
    the products of these moves with all keys are held.
    """
    shared = _Shared(head, instances)
    steps = [
        _Step(shared, np.sort(np.concatenate([np.asarray(group, np.intp) for group in groups[:stop]])))
        for stop in range(1, len(groups))
    ]
    for place in range(len(instances)):
        without = _Without(shared, place)
        margins = tuple(step.margins(without) for step in steps)
        yield LeftOutViews(margins, without.label(np.arange(shared.views.shape[1])))


class _Shared:
    """What all instances left out have in common; vectors are about a point amid all origins, so that none is long.

    Attributes:
        head: The head on all instances.
        keys: float32 `[NK, C]`, sorted by class.
        groups: int `[NK]`, the image of each instance.
        key_groups: int `[NK]`, the same in the order of the keys.
        key_labels: int `[NK]`, the classes in that order.
        starts: int `[N]`, where each class begins among the keys.
        shifts: float32 `[H, C]`, what keys and queries shift by without each instance.
        views: float32 `[H, V, C]`, of the instances left out.
        moving: int `[J]`, the instances whose moves are carried over to any of those left out, ascending.
        moves: For each instance left out, int `[K]`: which of `moving` are carried over to it.
    """

    def __init__(self, head: KernelHead, instances: npt.NDArray[np.integer]) -> None:
        cache = head.cache
        self.head = head
        self.instances = instances
        order = np.argsort(cache.labels, kind="stable")
        self.groups = cache.image_groups
        self.key_groups = self.groups[order]
        self.key_labels = cache.labels[order]
        self.starts = np.searchsorted(cache.labels[order], np.arange(len(cache.class_names)))
        origins = self.head.origins_left_out(instances)
        self.origin = origins.mean(axis=0)
        self.shifts = self.origin - origins
        self.keys = cache.keys[order] - self.origin
        self.views = cache.embeddings[instances].astype(np.float32) - self.origin
        of_mean = head.aggregate == "mean"
        carried = [_carried(cache, self.groups, int(instance), of_mean) for instance in instances]
        self.moving = np.unique(np.concatenate(carried))
        self.moves = [np.searchsorted(self.moving, chosen) for chosen in carried]
        self.moving_views = cache.embeddings[self.moving].astype(np.float32) - self.origin


class _Without:
    """The head without one instance and the others of its image, and that instance's own views."""

    def __init__(self, shared: _Shared, place: int) -> None:
        self.shared, self.place = shared, place
        gone = shared.key_groups == shared.groups[shared.instances[place]]
        self.columns = np.flatnonzero(gone)
        self.shares = class_shares(np.bincount(shared.key_labels[~gone], minlength=len(shared.starts)))
        self.shift = shared.shifts[place]
        # The views as the head without the instance sees them.
        self.views = shared.views[place] + self.shift
        keys = shared.keys
        squares = np.einsum("kc,kc->k", keys, keys) + self.shift @ self.shift
        lengths = squares + 2 * (keys @ self.shift)
        usable = lengths > _NEGLIGIBLE * squares
        self.scales = np.where(usable, 1 / np.sqrt(np.where(usable, lengths, 1)), 0).astype(np.float32)
        if shared.head.aggregate != "mean":
            self.probabilities = softmax(self.sums(self.products(self.views), np.linalg.norm(self.views, axis=1)))

    def products(self, rows: _Floats) -> _Floats:
        """Products of rows about the origin of the head without the instance with its keys, `[R, NK]`."""
        products: _Floats = rows @ self.shared.keys.T
        products += (rows @ self.shift)[:, None]
        return products

    def sums(self, products: _Floats, lengths: _Floats) -> _Floats:
        """Class sums of rows, `[R, N]`, from their products with the keys `[R, NK]`, which are used up, and lengths."""
        products *= self.scales
        products *= (1 / np.maximum(lengths, np.finfo(np.float32).tiny))[:, None]
        # The exponential of a column that is left out is 0 exactly.
        products[:, self.columns] = -np.inf
        return class_sums(products, self.shared.starts, self.shared.head.beta, self.shares, in_place=True)

    def label(self, seen: npt.NDArray[np.intp]) -> int:
        """Index of the class that some of the instance's views say."""
        if self.shared.head.aggregate == "mean":
            middle = self.views[seen].mean(axis=0)[None]
            logits = self.sums(self.products(middle), np.linalg.norm(middle, axis=1))
        else:
            logits = aggregate_logits(self.probabilities[None, seen])
        return int(logits[0].argmax())


class _Step:
    """Some views seen, the others not: the moves of the support instances from those to these."""

    def __init__(self, shared: _Shared, seen: npt.NDArray[np.intp]) -> None:
        self.shared, self.seen = shared, seen
        before = shared.moving_views[:, seen].mean(axis=1, keepdims=True)
        if shared.head.aggregate == "mean":
            moves = shared.moving_views.mean(axis=1, keepdims=True) - before
        else:
            moves = shared.moving_views[:, np.setdiff1d(np.arange(shared.views.shape[1]), seen)] - before
        middles = shared.views[:, seen].mean(axis=1) + shared.shifts
        count, unseen, channels = moves.shape
        rows = moves.reshape(-1, channels)
        # Of each move, `[J, U]` with the keys `[NK]`, with itself, and with what is of each instance left out `[H]`.
        self.with_keys = (rows @ shared.keys.T).reshape(count, unseen, -1)
        self.squares = np.einsum("rc,rc->r", rows, rows).reshape(count, unseen)
        self.with_middles = (rows @ middles.T).reshape(count, unseen, -1)
        self.with_shifts = (rows @ shared.shifts.T).reshape(count, unseen, -1)
        self.middles = middles

    def margins(self, without: _Without) -> Margins:
        """What `UnseenViews.margins` gives with a cache that lacks the instance."""
        place, moves = without.place, self.shared.moves[without.place]
        middle = self.middles[place]
        products = self.with_keys[moves]
        count, unseen, keys = products.shape
        products += self.with_shifts[moves, :, place][..., None]
        products += without.products(middle[None])[0]
        squares = (middle @ middle + self.squares[moves]) + 2 * self.with_middles[moves, :, place]
        lengths = np.sqrt(np.maximum(squares, 0)).reshape(-1)
        sums = without.sums(products.reshape(-1, keys), lengths).reshape(count, unseen, -1)
        if self.shared.head.aggregate == "mean":
            logits = sums[:, 0]
        else:
            known = without.probabilities[self.seen]
            known = np.broadcast_to(known, (count, *known.shape))
            logits = aggregate_logits(np.concatenate([known, softmax(sums)], axis=1))
        return Margins(without.label(self.seen), _on_scale(logits, self.shared.head.aggregate))


def _on_scale(logits: _Floats, aggregate: str) -> npt.NDArray[np.float64]:
    """Logits on the scale on which the views add up, see `Head.scores_of_means`; averaged probabilities do so."""
    wide = logits.astype(np.float64)
    return np.log(np.maximum(wide, np.finfo(np.float32).tiny)) if aggregate == "mean" else np.exp(wide)
