"""The whitened metric without one image of the support after another, exactly, without whitening each time anew."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.support.class_centre import class_weights
from mvrec_edge.runtime.support.whitening import (
    Whitening,
    ridge,
    unit_rows,
    view_and_instance_factors,
    weighted_scatter,
    whitening_root,
)

__all__ = ["LeftOutWhitening", "OwnViews", "WithoutImage", "left_out_whitening_of"]

_Floats = npt.NDArray[np.float32]

# Images whose metric is kept for whoever asks again, some 100 KB each.
_MOST_IMAGES = 600


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
        self._images: OrderedDict[int, WithoutImage] = OrderedDict()

    @functools.cached_property
    def rows(self) -> _Floats:
        """Views about the mean of their view, float32 `[V, n, C]`."""
        whole = self.whitening
        return np.ascontiguousarray((whole.units - whole.view_means).transpose(1, 0, 2))

    def without(self, instance: int) -> WithoutImage:
        """The metric without an instance and the others of its image."""
        group = int(self.groups[instance])
        if group not in self._images:
            gone = self.groups == group
            key = (int(gone.sum()), len(np.unique(self.whitening.key_labels[~gone])))
            if key not in self._bases:
                self._bases[key] = _Base(self, *key)
            self._images[group] = WithoutImage(self, self._bases[key], gone)
            if len(self._images) > _MOST_IMAGES:
                self._images.popitem(last=False)
        return self._images[group]


def left_out_whitening_of(whitening: Whitening, groups: npt.NDArray[np.integer]) -> LeftOutWhitening:
    """The left-out metrics of a support; the same ones as long as there is its whitening, which holds the latest."""
    latest = whitening.left_out
    if not isinstance(latest, LeftOutWhitening) or not np.array_equal(latest.groups, groups):
        latest = whitening.left_out = LeftOutWhitening(whitening, groups)
    return latest


class _Base:
    """What all images of as many instances share: the metric with their instances, of fewer degrees of freedom.

    Attributes:
        factors: What the deviations of views and of instances are multiplied by.
        inverse: float64 `[C, C]`, J.
        root: float32 `[C, C]`, `root @ root.T` is J.
    """

    def __init__(self, left_out: LeftOutWhitening, gone: int, classes: int) -> None:
        self._left_out = left_out
        whole = left_out.whitening
        count, views, _ = whole.units.shape
        freedoms = (count - gone) * (views - 1), count - gone - classes
        self.factors = view_and_instance_factors(*freedoms)
        root = whitening_root(weighted_scatter(whole.scatters, *freedoms), ridge(whole.centre, count - gone))
        self.inverse = root @ root.T
        self.root = np.ascontiguousarray(root, np.float32)

    @functools.cached_property
    def squares(self) -> _Floats:
        """Squared whitened lengths of the views about the mean of their view, float32 `[V, n]`."""
        whitened = (rows @ self.root for rows in self._left_out.rows)
        return np.stack([np.einsum("nc,nc->n", rows, rows) for rows in whitened])


class WithoutImage:
    """The metric of a support without an image; see `Metric`.

    Attributes:
        key_labels: int64 `[K]`, of the instances that are left.
        classes: Number of classes N; one that has no instance left has the cosine -1 to everything.
        class_weights: See `Metric`.
    """

    def __init__(self, left_out: LeftOutWhitening, base: _Base, gone: npt.NDArray[np.bool_]) -> None:
        whole = left_out.whitening
        self._left_out, self._base = left_out, base
        self._kept = np.flatnonzero(~gone)
        self.key_labels = whole.key_labels[self._kept]
        self.classes = whole.classes
        self.class_weights = class_weights(self.key_labels, self.classes)
        self._missing = np.bincount(self.key_labels, minlength=self.classes) == 0
        of_views = whole.class_view_means.copy()
        for label in np.unique(whole.key_labels[gone]):
            # Zeros where the class is gone, which then is in no mean.
            own = self._kept[self.key_labels == label]
            of_views[label] = whole.units[own].sum(axis=0) / np.float32(max(1, len(own)))
        self._class_means: _Floats = of_views.mean(axis=1)
        view_means = of_views[~self._missing].mean(axis=0)
        self.centre: _Floats = view_means.mean(axis=0)
        self._moves: _Floats = view_means - whole.view_means
        self._factor = self._correction(gone)
        self._own: dict[int, _Floats] = {}

    def _correction(self, gone: npt.NDArray[np.bool_]) -> _Floats:
        """F of the metric `J + F F'`, float32 `[C, u]`."""
        whole, base = self._left_out.whitening, self._base
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

    @functools.cached_property
    def _axes(self) -> _Floats:
        """What rows are multiplied by for coordinates in which the metric is the plain one, float32 `[C, C + u]`."""
        return np.concatenate([self._base.root, self._factor], axis=1)

    def whitened(self, means: _Floats) -> tuple[_Floats, _Floats]:
        """Means of unit views and the class means, about the centre, where the metric is the plain one.

        Args:
            means: float32 `[M, C]`.

        Returns:
            float32 `[M, C + u]`, and `[N', C + u]` of the N' classes that have an instance left.
        """
        classes = self._class_means[~self._missing]
        rows = np.concatenate([means, classes]) - self.centre
        whitened = np.asarray(rows @ self._axes, np.float32)
        return whitened[: len(means)], whitened[len(means) :]

    @functools.cached_property
    def _class_keys(self) -> _Floats:
        return unit_rows((self._class_means - self.centre) @ self._axes).T

    @functools.cached_property
    def _centred_keys(self) -> _Floats:
        return unit_rows(self._left_out.whitening.means[self._kept] - self.centre).T

    def class_cosines(self, means: _Floats) -> _Floats:
        """See `Metric`."""
        cosines: _Floats = unit_rows((means - self.centre) @ self._axes) @ self._class_keys
        cosines[:, self._missing] = -1
        return cosines

    def centred_cosines(self, means: _Floats) -> _Floats:
        """See `Metric`."""
        return unit_rows(means - self.centre) @ self._centred_keys

    def view_cosines(self, units: _Floats, views: Sequence[int]) -> _Floats:
        """See `Metric`."""
        total = np.zeros((len(units), len(self._kept)), np.float32)
        for place, view in enumerate(views):
            total += self._cosines(units[:, place], view)
        return total / np.float32(len(views))

    def own_views(self, instance: int) -> OwnViews:
        """The metric for an instance that was left out with the image, which is asked for its own views again."""
        if instance not in self._own:
            units = self._left_out.whitening.units[instance]
            self._own[instance] = np.concatenate([self._cosines(views[None], view) for view, views in enumerate(units)])
        return OwnViews(self, self._own[instance])

    def _cosines(self, units: _Floats, view: int) -> _Floats:
        """Whitened cosines of one view of some queries with the same view of instances, `[M, C]` to `[M, K]`."""
        whole, base = self._left_out.whitening, self._base
        # About the mean of all, from which the mean of those left is not far, so that few digits are lost.
        move = self._moves[view]
        queries = units - whole.view_means[view] - move
        moved, whitened, corrected = move @ base.root, queries @ base.root, queries @ self._factor
        # All that depends on the keys is one product with them.
        against = np.concatenate([(base.root @ whitened.T), (base.root @ moved)[:, None], self._factor], axis=1)
        products = self._left_out.rows[view] @ against
        count = len(units)
        of_factor = products[:, count + 1 :] - move @ self._factor
        along = products[:, :count] - whitened @ moved + of_factor @ corrected.T
        squares = base.squares[view] - 2 * products[:, count] + moved @ moved
        squares += np.einsum("nu,nu->n", of_factor, of_factor)
        own = np.einsum("mc,mc->m", whitened, whitened) + np.einsum("mu,mu->m", corrected, corrected)
        scale = np.maximum(squares, 0)[:, None] * own
        usable = scale > 0
        cosines: _Floats = np.where(usable, along / np.sqrt(np.where(usable, scale, 1)), 0).T[:, self._kept]
        return cosines.astype(np.float32, copy=False)


class OwnViews:
    """The metric without an image, for the views of one of its instances, whose numbers alone say which are asked.

    Attributes:
        class_weights: See `Metric`.
    """

    def __init__(self, without: WithoutImage, cosines: _Floats) -> None:
        self.class_weights = without.class_weights
        self.class_cosines = without.class_cosines
        self.centred_cosines = without.centred_cosines
        self._cosines = cosines

    def view_cosines(self, units: _Floats, views: Sequence[int]) -> _Floats:  # noqa: ARG002 (they are its own)
        """See `Metric`."""
        return np.asarray(self._cosines[list(views)].mean(axis=0, keepdims=True), np.float32)
