"""How far a region is from a class: view beside view, after centring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import InputError, UsageError
from mvrec_edge.runtime.support.class_centre import class_centre, moves_left_out

__all__ = ["NEAREST", "ClassDistances", "left_out_distances"]

#: Of a class with more instances, only so many of the nearest count: a class may have several looks.
NEAREST = 5

# Floats of centred support views held at once, 128 MB: what is larger is centred piece by piece for each query.
_MOST_FLOATS = 1 << 25


class ClassDistances:
    """Distances of queries to every class of a support.

    With `c` the centre, the mean over classes of the mean of a class's view embeddings, view `v` of a query `q` and of
    a support instance `x` are compared by the cosine of `q_v - c` and `x_v - c`; the distance of `q` and `x` is 1
    minus the mean of that cosine over the views. The distance to a class is the mean over its `NEAREST` nearest
    instances, or all where it has fewer.

    A view that equals the centre has no direction, and counts as distance 1.

    Args:
        embeddings: float `[NK, V, C]`, the support's.
        labels: int `[NK]`.
        classes: Number of classes N.
        views: Which of the V views the queries have; by default all. Centre and supports are then taken from these
            views alone, as if no others had ever been cut.

    Raises:
        UsageError: The views are not different numbers from 0 to V - 1.
    """

    def __init__(
        self,
        embeddings: npt.NDArray[np.floating],
        labels: npt.NDArray[np.integer],
        classes: int,
        views: Sequence[int] | None = None,
    ) -> None:
        self._rows = chosen_views(embeddings, views)
        self._labels = np.asarray(labels)
        self._classes = classes
        self.centre: npt.NDArray[np.float32] = _centre(self._rows, self._labels)
        self._prepared = self._directions(self._rows) if self._rows.size <= _MOST_FLOATS else None

    def to_classes(self, queries: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Computes the distance of each query to each class.

        Args:
            queries: `[M, P, C]`, the same P views of M regions.

        Returns:
            float32 `[M, N]`, 0 to 2.

        Raises:
            UsageError: The shape does not fit the support.
            InputError: An embedding is not finite.
        """
        queries = np.asarray(queries)
        if queries.ndim != 3 or queries.shape[1:] != self._rows.shape[1:]:
            _, views, channels = self._rows.shape
            raise UsageError(f"embeddings must be [M, {views}, {channels}], these are {list(queries.shape)}")
        if not np.isfinite(queries).all():
            raise InputError("an embedding holds a value that is not finite", fix="check the engine and the bundle")
        directions = self._directions(queries)
        cosines = np.empty((len(queries), len(self._rows)), np.float32)
        step = max(1, _MOST_FLOATS // (self._rows.shape[1] * self._rows.shape[2]))
        for start in range(0, len(self._rows), step):
            piece = slice(start, start + step)
            against = self._directions(self._rows[piece]) if self._prepared is None else self._prepared[piece]
            cosines[:, piece] = directions @ against.T
        distances = np.float32(1) - cosines
        return np.stack([_nearest_mean(distances[:, self._labels == place]) for place in range(self._classes)], axis=1)

    def _directions(self, rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Centred views of length 1 side by side, so that a product is the mean cosine, float32 `[R, P * C]`."""
        centred = rows.astype(np.float32) - self.centre
        centred /= _lengths((centred * centred).sum(axis=2, keepdims=True)) * np.float32(np.sqrt(rows.shape[1]))
        return centred.reshape(len(rows), -1)


def left_out_distances(
    embeddings: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    views: Sequence[int] | None = None,
    groups: npt.NDArray[np.integer] | None = None,
) -> npt.NDArray[np.float32]:
    """The distance of each support instance to its own class without its image.

    Without an image, all instances on it are gone, from the centre as well, which is the mean over the classes that
    are left.

    Args:
        embeddings: float `[NK, V, C]`.
        labels: int `[NK]`.
        views: Which views; see `ClassDistances`.
        groups: int `[NK]`, equal for instances of one image; by default each instance has an image of its own.

    Returns:
        float32 `[NK]`, 0 to 2; NaN for an instance whose class has none on another image.

    Raises:
        UsageError: The views are not different numbers from 0 to V - 1.
    """
    rows = chosen_views(embeddings, views)
    images = np.arange(len(rows)) if groups is None else groups
    # Every class counts the same: were it every instance, leaving one out would move the centre away from its class
    # and bring the rest of it nearer than a query ever finds it.
    centre = _centre(rows, labels)
    moves = moves_left_out(_keys_about(rows, centre), labels, images)
    result = np.full(len(rows), np.nan, np.float32)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        _, own, sizes = np.unique(images[members], return_inverse=True, return_counts=True)
        others = len(members) - sizes[own]
        usable = np.flatnonzero(others)
        step = max(1, _MOST_FLOATS // (len(members) * 4))
        for start in range(0, len(usable), step):
            part = usable[start : start + step]
            cosines = _without_image(rows, members, members[part], moves[members[part]], centre)
            distances = np.float32(1) - cosines
            distances[own[part][:, None] == own] = np.inf
            for count in np.unique(others[part]):
                alike = others[part] == count
                result[members[part[alike]]] = _nearest_mean(distances[alike], int(count))
    return result


def _keys_about(rows: npt.NDArray[np.floating], centre: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means over the views about the centre, float32 `[NK, C]`."""
    keys = np.empty((len(rows), rows.shape[2]), np.float32)
    step = max(1, _MOST_FLOATS // (rows.shape[1] * rows.shape[2]))
    for start in range(0, len(rows), step):
        keys[start : start + step] = (rows[start : start + step].astype(np.float32) - centre).mean(axis=1)
    return keys


def _without_image(
    rows: npt.NDArray[np.floating],
    members: npt.NDArray[np.intp],
    left_out: npt.NDArray[np.intp],
    moves: npt.NDArray[np.float32],
    centre: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Mean cosines of some members of a class to all, each with the centre that its image leaves behind.

    Instead of centring all others anew for every one that is left out, the products are expanded.

    Args:
        rows: float `[NK, V, C]`.
        members: int `[n]`, places of the class's instances.
        left_out: int `[P]`, places of those that are left out.
        moves: float32 `[P, C]`, what every view moves by as seen from that centre.
        centre: The centre of all.

    Returns:
        float32 `[P, n]`.
    """
    views = rows.shape[1]
    total = np.zeros((len(left_out), len(members)), np.float32)
    for view in range(views):
        others = rows[members, view].astype(np.float32) - centre
        query = rows[left_out, view].astype(np.float32) - centre + moves
        across = moves @ others.T
        square = (others * others).sum(axis=1) + 2 * across + (moves * moves).sum(axis=1)[:, None]
        product = query @ others.T + (query * moves).sum(axis=1)[:, None]
        total += product / (_lengths(np.maximum(square, 0)) * _lengths((query * query).sum(axis=1))[:, None])
    cosines: npt.NDArray[np.float32] = np.clip(total / np.float32(views), -1, 1)
    return cosines


def chosen_views(embeddings: npt.NDArray[np.floating], views: Sequence[int] | None) -> npt.NDArray[np.floating]:
    """The embeddings of some views, `[NK, P, C]`.

    Raises:
        UsageError: The views are not different numbers from 0 to V - 1.
    """
    if views is None:
        return embeddings
    count = embeddings.shape[1]
    if not views or len(set(views)) != len(views) or min(views) < 0 or max(views) >= count:
        raise UsageError(f"views must be different numbers from 0 to {count - 1}, these are {list(views)[:30]}")
    return embeddings[:, list(views)]


def _centre(rows: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    return class_centre(rows.mean(axis=1, dtype=np.float32), labels)


def _lengths(squares: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Square roots, and infinity for zero: a vector without direction then has cosine 0 to everything."""
    roots: npt.NDArray[np.float32] = np.where(squares > 0, np.sqrt(squares), np.float32(np.inf)).astype(np.float32)
    return roots


def _nearest_mean(distances: npt.NDArray[np.float32], available: int | None = None) -> npt.NDArray[np.float32]:
    """The mean of the smallest few of each row, float32 `[M]`."""
    count = min(NEAREST, distances.shape[1] if available is None else available)
    nearest = distances if count == distances.shape[1] else np.partition(distances, count - 1, axis=1)[:, :count]
    means: npt.NDArray[np.float32] = np.clip(nearest.mean(axis=1, dtype=np.float32), 0, 2)
    return means
