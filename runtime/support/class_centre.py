"""The centre of a support: the mean over classes of the mean of each, so that a larger class does not draw it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["class_centre", "class_means_of", "class_weights", "moves_left_out"]

_Floats = npt.NDArray[np.float32]


def class_means_of(rows: _Floats, labels: npt.NDArray[np.integer], classes: int) -> _Floats:
    """Means over the instances of each class, float32 `[n, ...]` to `[N, ...]`; zeros for a class without any."""
    means = np.zeros((classes, *rows.shape[1:]), np.float32)
    for label in np.unique(labels):
        means[label] = rows[labels == label].mean(axis=0)
    return means


def class_weights(labels: npt.NDArray[np.integer], classes: int) -> _Floats:
    """What instances are multiplied by for the means over classes, float32 `[n, N]`; zeros for a class without any."""
    sizes = np.maximum(np.bincount(labels, minlength=classes), 1)
    weights = np.zeros((len(labels), classes), np.float32)
    weights[np.arange(len(labels)), labels] = 1 / sizes[labels].astype(np.float32)
    return weights


def class_centre(rows: _Floats, labels: npt.NDArray[np.integer]) -> _Floats:
    """The mean over classes of the means of their instances, float32 `[n, C]` to `[C]`."""
    centre: _Floats = np.mean([rows[labels == label].mean(axis=0) for label in np.unique(labels)], axis=0)
    return centre


def moves_left_out(keys: _Floats, labels: npt.NDArray[np.integer], images: npt.NDArray[np.integer]) -> _Floats:
    """What every row moves by, as seen from the centre, when an instance's image is left out.

    Without `k` of the `n` instances of a class, whose keys are `x` and whose class's mean is `m`, the class's mean
    moves by minus the sum of `(x - m) / (n - k)`, and the centre of N classes by an N-th of that. A class that has no
    other instance is gone from the centre, which then is that of fewer classes.

    Args:
        keys: float32 `[NK, C]`, one row for each instance, about the centre.
        labels: int `[NK]`.
        images: int `[NK]`, equal for instances of one image.

    Returns:
        float32 `[NK, C]`; zeros where the image holds every instance.
    """
    names, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    means = np.stack([keys[labels == name].mean(axis=0) for name in names])
    moves = np.zeros_like(keys)
    order = np.argsort(images, kind="stable")
    for together in np.split(order, np.flatnonzero(np.diff(images[order])) + 1):
        gone = np.bincount(classes[together], minlength=len(names))
        left = sizes - gone
        emptied = gone * (left == 0) > 0
        remaining = len(names) - int(emptied.sum())
        if not remaining:
            continue
        move = means[emptied].sum(axis=0) / np.float32(remaining)
        for place in together:
            own = classes[place]
            if left[own]:
                move = move + (keys[place] - means[own]) / np.float32(left[own] * remaining)
        moves[together] = move
    return moves
