"""The whitened metric without one image of the support after another, exactly, without whitening each time anew."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.support.whitening import (
    Whitening,
    ridge,
    unit_rows,
    view_and_instance_factors,
    weighted_scatter,
    whitening_root,
)

__all__ = ["LeftOutWhitening", "WithoutImage"]

_Floats = npt.NDArray[np.float32]


class LeftOutWhitening:
    """A whitened support that can be asked for its metric without an image.

    Without an image the degrees of freedom are those of the instances left, and what its instances added to the
    scatters is taken away: `U'U` with a row for each of their views and for each of the means. So the metric is `(A -
    U'U)^-1 = J + J U' (I - U J U')^-1 U J` with `J = A^-1` (Woodbury), and J is shared by all images of as many
    instances. It is what `Whitening` gives without the image, but for the ridge, which takes the length of the centre
    of all.

    Args:
        whitening: The whole support.
        groups: int `[n]`, the image of each instance.
    """

    def __init__(self, whitening: Whitening, groups: npt.NDArray[np.integer]) -> None:
        self.whitening = whitening
        self.groups = groups
        self._bases: dict[tuple[int, int], _Base] = {}
        self._latest: tuple[int, WithoutImage] | None = None

    def without(self, instance: int) -> WithoutImage:
        """The metric without an instance and the others of its image."""
        group = int(self.groups[instance])
        if self._latest is None or self._latest[0] != group:
            whole = self.whitening
            gone = self.groups == group
            left = len(np.unique(whole.key_labels[~gone]))
            key = (int(gone.sum()), left)
            if key not in self._bases:
                self._bases[key] = _Base(whole, *key)
            self._latest = (group, WithoutImage(whole, self._bases[key], gone))
        return self._latest[1]


class _Base:
    """What all images of as many instances share: the metric with their instances, of fewer degrees of freedom.

    Attributes:
        factors: What the deviations of views and of instances are multiplied by.
        inverse: float64 `[C, C]`, J.
        root: float32 `[C, C]`, `root @ root.T` is J.
    """

    def __init__(self, whole: Whitening, gone: int, classes: int) -> None:
        self._whole = whole
        count, views, _ = whole.units.shape
        freedoms = (count - gone) * (views - 1), count - gone - classes
        self.factors = view_and_instance_factors(*freedoms)
        root = whitening_root(weighted_scatter(whole.scatters, *freedoms), ridge(whole.centre, count - gone))
        self.inverse = root @ root.T
        self.root = np.ascontiguousarray(root, np.float32)

    @functools.cached_property
    def views(self) -> tuple[_Floats, _Floats]:
        """Views about the mean of their view, times `root`, float32 `[V, n, C]`, and their squared lengths `[V, n]`."""
        whole = self._whole
        rows = np.stack([(whole.units[:, view] - mean) @ self.root for view, mean in enumerate(whole.view_means)])
        return rows, np.einsum("vnc,vnc->vn", rows, rows)


class WithoutImage:
    """The metric of a support without an image; see `Metric`.

    Attributes:
        key_labels: int64 `[K]`, of the instances that are left.
        classes: Number of classes N; one that has no instance left has the cosine -1 to everything.
    """

    def __init__(self, whole: Whitening, base: _Base, gone: npt.NDArray[np.bool_]) -> None:
        self._whole, self._base = whole, base
        self._kept = np.flatnonzero(~gone)
        self.key_labels = whole.key_labels[self._kept]
        self.classes = whole.classes
        self._means = whole.means[self._kept]
        self._missing = np.bincount(self.key_labels, minlength=self.classes) == 0
        of_views = whole.class_view_means.copy()
        for label in np.unique(whole.key_labels[gone]):
            # Zeros where the class is gone, which then is in no mean.
            of_views[label] = whole.units[self._kept[self.key_labels == label]].sum(axis=0)
            of_views[label] /= np.float32(max(1, (self.key_labels == label).sum()))
        self._class_means: _Floats = of_views.mean(axis=1)
        view_means = of_views[~self._missing].mean(axis=0)
        self.centre: _Floats = view_means.mean(axis=0)
        self._moves: _Floats = view_means - whole.view_means
        self._factor = self._correction(gone)

    def _correction(self, gone: npt.NDArray[np.bool_]) -> _Floats:
        """F of the metric `J + F F'`, float32 `[C, u]`."""
        whole, base = self._whole, self._base
        of_views, of_instances = base.factors
        deviations = whole.means[gone] - whole.class_means[whole.key_labels[gone]]
        rows = [of_instances * deviations]
        if of_views:
            channels = whole.units.shape[2]
            rows.append(of_views * (whole.units[gone] - whole.means[gone, None]).reshape(-1, channels))
        sizes = np.bincount(whole.key_labels, minlength=self.classes)
        for label in np.unique(whole.key_labels[gone]):
            own = whole.key_labels[gone] == label
            left = sizes[label] - own.sum()
            if left:
                # The mean of the class moves, and with it what the others add.
                rows.append(of_instances / np.sqrt(left) * deviations[own].sum(axis=0, keepdims=True))
        removed = np.concatenate(rows).astype(np.float64)
        through = removed @ base.inverse
        inner = np.eye(len(removed)) - through @ removed.T
        return np.ascontiguousarray(np.linalg.solve(np.linalg.cholesky(inner), through).T, np.float32)

    def _whitened(self, rows: _Floats) -> _Floats:
        """Rows in coordinates in which the metric is the plain one, `[R, C]` to `[R, C + u]`."""
        return np.concatenate([rows @ self._base.root, rows @ self._factor], axis=1)

    def whitened(self, means: _Floats) -> tuple[_Floats, _Floats]:
        """Means of unit views and the class means, about the centre, where the metric is the plain one.

        Args:
            means: float32 `[M, C]`.

        Returns:
            float32 `[M, C + u]`, and `[N', C + u]` of the N' classes that have an instance left.
        """
        classes = self._class_means[~self._missing]
        return self._whitened(means - self.centre), self._whitened(classes - self.centre)

    @functools.cached_property
    def _class_keys(self) -> _Floats:
        return unit_rows(self._whitened(self._class_means - self.centre)).T

    def class_cosines(self, means: _Floats) -> _Floats:
        """See `Metric`."""
        cosines: _Floats = unit_rows(self._whitened(means - self.centre)) @ self._class_keys
        cosines[:, self._missing] = -1
        return cosines

    def centred_cosines(self, means: _Floats) -> _Floats:
        """See `Metric`."""
        return unit_rows(means - self.centre) @ unit_rows(self._means - self.centre).T

    def view_cosines(self, units: _Floats, views: Sequence[int]) -> _Floats:
        """See `Metric`."""
        whole = self._whole
        keys, squares = self._base.views
        total = np.zeros((len(units), len(self._kept)), np.float32)
        for place, view in enumerate(views):
            # About the mean of all, from which the mean of those left is not far, so that few digits are lost.
            move = self._moves[view]
            moved = (move @ self._base.root)[None]
            query = (units[:, place] - whole.view_means[view] - move) @ self._base.root
            products = keys[view][self._kept] @ np.concatenate([query, moved]).T
            length = squares[view][self._kept] - 2 * products[:, -1] + (moved @ moved.T)[0, 0]
            along = products[:, :-1] - query @ moved[0]
            corrected = (whole.units[self._kept, view] - whole.view_means[view] - move) @ self._factor
            of_query = (units[:, place] - whole.view_means[view] - move) @ self._factor
            along += corrected @ of_query.T
            length += np.einsum("ku,ku->k", corrected, corrected)
            of_own = np.einsum("mc,mc->m", query, query) + np.einsum("mu,mu->m", of_query, of_query)
            scale = np.maximum(length, np.finfo(np.float32).tiny)[:, None] * of_own
            total += np.where(scale > 0, along / np.sqrt(np.where(scale > 0, scale, 1)), 0).T
        return total / np.float32(len(views))
