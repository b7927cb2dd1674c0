"""Whitening: directions in which a support varies without its class changing count less.

Two views of one defect differ, and so do two defects of one class; neither tells classes apart. Both scatters are
measured on the support alone, and the inverse of their sum is the metric of the whitened heads.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.support.class_centre import class_means_of, class_weights

__all__ = [
    "Metric",
    "Whitening",
    "ridge",
    "unit_rows",
    "view_and_instance_factors",
    "weighted_scatter",
    "whitening_of",
    "whitening_root",
]

_Floats = npt.NDArray[np.float32]

# How much the scatter between views of one instance counts, and that between instances of one class; and the ridge.
_VIEWS_WEIGHT, _INSTANCES_WEIGHT = 1.0, 3.0
_RIDGE = 0.1
# A support whose views are all alike has neither scatter nor ridge, and nothing may divide by zero.
_LEAST_RIDGE = 1e-10
# Squared distance of unit rows, or of their means, below which they differ by rounding.
_ROUNDING = 1e-11
# Rows of a triangular matrix that are inverted at once.
_BLOCK = 96
# What `whitening_of` has made, by the identities of its arrays, which end with them.
_made: dict[tuple[int, int], Whitening] = {}
# With more groups of columns, products with few rows get slow again.
_COLUMN_GROUPS = 3
# Floats of deviations held at once, 64 MB.
_MOST_FLOATS = 1 << 24


class Metric(Protocol):
    """How queries are compared with a support, or with what is left of it without an image.

    Attributes:
        class_weights: float32 `[K, N]`, what the K instances that queries are compared with are multiplied by for the
            means over the N classes; see `class_weights`.
    """

    class_weights: _Floats

    def class_cosines(self, means: _Floats) -> _Floats:
        """Whitened cosines of means of unit views with the class means, float32 `[M, C]` to `[M, N]`."""

    def view_cosines(self, units: _Floats, views: Sequence[int]) -> _Floats:
        """Mean whitened cosines of unit views with the same views of instances, float32 `[M, P, C]` to `[M, K]`."""

    def centred_cosines(self, means: _Floats) -> _Floats:
        """Cosines of means of unit views with those of instances, about the centre, float32 `[M, C]` to `[M, K]`."""


class Whitening:
    """A support's unit view embeddings, their centres, and the metric that its own scatter gives.

    With `x_iv` the view embeddings scaled to length 1, `M_i` an instance's mean over its V views, `P_c` the mean of
    `M_i` over a class, and `mu` the mean of the `P_c`, as `mu_v` is for a single view:

        S = [V > 1] Sv / (n (V - 1)) + [n > N] 3 Sc / (n - N) + eps I
        Sv = sum over i, v of (x_iv - M_i)(x_iv - M_i)'
        Sc = sum over i of (M_i - P_y(i))(M_i - P_y(i))'
        eps = 0.1 (1 - |mu|^2) / n

    `rows @ matrix` whitens: `matrix @ matrix.T` is the inverse of S.

    Args:
        embeddings: float `[n, V, C]`.
        labels: int `[n]`, below `classes`, each class at least once.
        classes: Number of classes N.

    Attributes:
        units: float32 `[n, V, C]`, the view embeddings of length 1; a view of length 0 stays 0.
        key_labels: int64 `[n]`.
        class_weights: See `Metric`.
        classes: Number of classes.
        means: float32 `[n, C]`, of each instance.
        class_view_means: float32 `[N, V, C]`.
        class_means: float32 `[N, C]`.
        view_means: float32 `[V, C]`.
        centre: float32 `[C]`.
    """

    def __init__(self, embeddings: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], classes: int) -> None:
        self.units: _Floats = unit_rows(embeddings)
        #: What `left_out_whitening_of` made last, which lives as long as this.
        self.left_out: object = None
        self.key_labels = labels
        self.classes = classes
        self.class_weights = class_weights(labels, classes)
        self.means: _Floats = self.units.mean(axis=1)
        self.class_view_means = class_means_of(self.units, labels, classes)
        self.class_means: _Floats = self.class_view_means.mean(axis=1)
        self.view_means: _Floats = self.class_view_means.mean(axis=0)
        self.centre: _Floats = self.class_means.mean(axis=0)

    @functools.cached_property
    def scatters(self) -> tuple[_Floats, _Floats]:
        """Between the views of an instance, Sv, and between the instances of a class, Sc, float32 `[C, C]` each."""
        count, views, channels = self.units.shape
        between_views = np.zeros((channels, channels), np.float32)
        step = max(1, _MOST_FLOATS // (views * channels))
        for start in range(0, count, step):
            piece = slice(start, start + step)
            rows = (self.units[piece] - self.means[piece, None]).reshape(-1, channels)
            between_views += rows.T @ rows
        deviations = self.means - self.class_means[self.key_labels]
        return between_views, deviations.T @ deviations

    @functools.cached_property
    def matrix(self) -> _Floats:
        """What rows are multiplied by to be whitened, float32 `[C, C]`."""
        count, views, _ = self.units.shape
        sigma = weighted_scatter(self.scatters, count * (views - 1), count - self.classes)
        return np.ascontiguousarray(whitening_root(sigma, ridge(self.centre, count)), np.float32)

    @functools.cached_property
    def _columns(self) -> list[_Floats]:
        """The matrix, which is upper triangular, as a few groups of columns down to their last row that is not zero."""
        edges = np.linspace(0, len(self.matrix), _COLUMN_GROUPS + 1).astype(int)
        return [np.ascontiguousarray(self.matrix[:last, first:last]) for first, last in itertools.pairwise(edges)]

    def whitened(self, rows: _Floats) -> _Floats:
        """`rows @ matrix`, float32 `[R, C]`, in two thirds of its multiplications."""
        result = np.empty_like(rows)
        first = 0
        for columns in self._columns:
            rest, count = columns.shape
            np.matmul(rows[:, :rest], columns, out=result[:, first : first + count])
            first += count
        return result

    @functools.cached_property
    def _view_keys(self) -> _Floats:
        """Whitened views about the mean of their view, of length 1, float32 `[V, C, n]`."""
        count, views, channels = self.units.shape
        keys = np.empty((views, channels, count), np.float32)
        for view, mean in enumerate(self.view_means):
            keys[view] = unit_rows(_about(self.units[:, view], mean) @ self.matrix).T
        return keys

    @functools.cached_property
    def _class_keys(self) -> _Floats:
        return np.ascontiguousarray(unit_rows(_about(self.class_means, self.centre) @ self.matrix).T)

    @functools.cached_property
    def _centred_keys(self) -> _Floats:
        return np.ascontiguousarray(unit_rows(_about(self.means, self.centre)).T)

    @functools.cached_property
    def _instance_keys(self) -> _Floats:
        return np.ascontiguousarray(unit_rows(_about(self.means, self.centre) @ self.matrix).T)

    def class_cosines(self, means: _Floats) -> _Floats:
        """See `Metric`."""
        return unit_rows(self.whitened(_about(means, self.centre))) @ self._class_keys

    def instance_cosines(self, means: _Floats) -> _Floats:
        """Whitened cosines of means of unit views with those of instances, float32 `[M, C]` to `[M, n]`."""
        return unit_rows(self.whitened(_about(means, self.centre))) @ self._instance_keys

    def view_cosines(self, units: _Floats, views: Sequence[int]) -> _Floats:
        """See `Metric`."""
        places = list(views)
        count, each, channels = units.shape
        rows = self.whitened(_about(units, self.view_means[places]).reshape(-1, channels))
        queries = unit_rows(rows).reshape(count, each, channels)
        if places == list(range(len(self.view_means))):
            # The sum over the views is one product of all views side by side.
            return queries.reshape(count, -1) @ self._view_keys.reshape(-1, len(self.units)) / np.float32(each)
        total = np.zeros((count, len(self.units)), np.float32)
        for place, view in enumerate(places):
            total += queries[:, place] @ self._view_keys[view]
        return total / np.float32(each)

    def centred_cosines(self, means: _Floats) -> _Floats:
        """See `Metric`."""
        return unit_rows(_about(means, self.centre)) @ self._centred_keys


def whitening_of(embeddings: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], classes: int) -> Whitening:
    """The whitening of arrays that are not changed any more; the same one as long as there are these arrays.

    Calibration makes one cache after another of the same embeddings, with another head or schedule each.
    """
    key = (id(embeddings), id(labels))
    if key not in _made:
        _made[key] = Whitening(embeddings, labels, classes)
        for array in (embeddings, labels):
            weakref.finalize(array, _made.pop, key, None)
    return _made[key]


def weighted_scatter(scatters: tuple[_Floats, _Floats], view_freedom: int, freedom: int) -> npt.NDArray[np.float64]:
    """The two scatters over their degrees of freedom, weighted, float64 `[C, C]`; one that has none is left out."""
    between_views, between_instances = scatters
    sigma = np.zeros(between_views.shape, np.float64)
    if view_freedom > 0:
        sigma += between_views * (_VIEWS_WEIGHT / view_freedom)
    if freedom > 0:
        sigma += between_instances * (_INSTANCES_WEIGHT / freedom)
    return sigma


def view_and_instance_factors(view_freedom: int, freedom: int) -> tuple[float, float]:
    """Square roots of what the two scatters are multiplied by; 0 for one that has no degrees of freedom."""
    return (
        (_VIEWS_WEIGHT / view_freedom) ** 0.5 if view_freedom > 0 else 0.0,
        (_INSTANCES_WEIGHT / freedom) ** 0.5 if freedom > 0 else 0.0,
    )


def ridge(centre: npt.NDArray[np.floating], count: int) -> float:
    """What is added to the scatter in every direction, for a support of so many instances about a centre."""
    return max(_RIDGE * (1.0 - float(centre @ centre)) / count, _LEAST_RIDGE)


def _about(rows: _Floats, centre: _Floats) -> _Floats:
    """Rows less a centre, of the same shape; one that differs from it by rounding alone is zero, without direction."""
    moved = rows - centre
    squares = np.einsum("...c,...c->...", moved, moved)
    if squares.size and squares.min() < _ROUNDING:
        moved[squares < _ROUNDING] = 0
    return moved


def unit_rows(rows: npt.NDArray[np.floating]) -> _Floats:
    """Rows of length 1, float32 of the same shape; a row of length 0 stays 0, and has cosine 0 to everything."""
    values: _Floats = rows.astype(np.float32, copy=False)
    squares = np.einsum("...c,...c->...", values, values)[..., None]
    return np.asarray(values / np.sqrt(np.where(squares > 0, squares, 1)), np.float32)


def whitening_root(sigma: npt.NDArray[np.float64], added: float) -> npt.NDArray[np.float64]:
    """R with `R @ R.T` the inverse of `sigma + added I`, float64 `[C, C]`."""
    raised = sigma + added * np.eye(len(sigma))
    return _inverse_of_lower(np.asarray(np.linalg.cholesky(raised), np.float64)).T


def _inverse_of_lower(lower: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The inverse of a lower triangular matrix, by halves: a third of the time of a general inverse."""
    count = len(lower)
    if count <= _BLOCK:
        return np.asarray(np.linalg.inv(lower), np.float64)
    half = count // 2
    first, last = _inverse_of_lower(lower[:half, :half]), _inverse_of_lower(lower[half:, half:])
    inverse = np.zeros_like(lower)
    inverse[:half, :half], inverse[half:, half:] = first, last
    inverse[half:, :half] = -(last @ lower[half:, :half]) @ first
    return inverse
