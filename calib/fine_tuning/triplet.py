"""The batch-hard triplet loss (Hermans, Beyer and Leibe 2017), as MVREC's paper adds it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["MARGIN", "triplet_loss"]

MARGIN = 0.5

_Array = npt.NDArray[np.float32]


def triplet_loss(rows: _Array, labels: npt.NDArray[np.int64]) -> tuple[float, _Array]:
    """The loss and its derivative by the rows.

    For each row, the farthest row of its class and the nearest of another, by Euclidean distance:
    `max(0, d_far - d_near + 0.5)`, averaged over all rows that have both.

    Args:
        rows: float32 `[Q, C]`.
        labels: int64 `[Q]`.

    Returns:
        The loss, and float32 `[Q, C]`.
    """
    squares = np.einsum("rc,rc->r", rows, rows)
    distance = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * (rows @ rows.T), 0))
    same = labels[:, None] == labels[None]
    others = same & ~np.eye(len(rows), dtype=bool)
    far = np.where(others, distance, -1.0).argmax(axis=1)
    near = np.where(same, np.inf, distance).argmin(axis=1)
    anchors = np.flatnonzero(others.any(axis=1) & (~same).any(axis=1))
    gradient = np.zeros_like(rows)
    if not len(anchors):
        return 0.0, gradient
    far, near = far[anchors], near[anchors]
    # The matrix product loses digits of small distances, so the chosen ones are computed again.
    to_far, to_near = rows[anchors] - rows[far], rows[anchors] - rows[near]
    d_far, d_near = np.linalg.norm(to_far, axis=1), np.linalg.norm(to_near, axis=1)
    hinge = np.maximum(d_far - d_near + MARGIN, 0)
    active = ((hinge > 0) / len(anchors)).astype(np.float32)[:, None]
    # A distance of zero has no direction; its derivative is taken as zero there.
    pull = active * to_far / np.maximum(d_far, 1e-12)[:, None]
    push = active * to_near / np.maximum(d_near, 1e-12)[:, None]
    np.add.at(gradient, anchors, pull - push)
    np.add.at(gradient, far, -pull)
    np.add.at(gradient, near, push)
    return float(hinge.mean()), gradient
