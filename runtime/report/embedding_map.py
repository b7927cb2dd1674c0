"""A map of embeddings: the two directions in which support and queries differ the most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["EmbeddingMap", "embedding_map"]


@dataclass(frozen=True)
class EmbeddingMap:
    """Where every embedding lies on a plane.

    Attributes:
        support: float64 `[K, 2]`.
        queries: float64 `[Q, 2]`.
        explained: Share of the spread along each of the two axes, 0 to 1; what the map does not show is the rest.
    """

    support: npt.NDArray[np.float64]
    queries: npt.NDArray[np.float64]
    explained: tuple[float, float]


def embedding_map(support: npt.NDArray[np.floating], queries: npt.NDArray[np.floating]) -> EmbeddingMap:
    """Principal components of mean embeddings scaled to length 1, as heads compare them by cosine.

    Support and queries are taken together. Of the two ways to point an axis, that is taken in which its largest entry
    is positive, so that the same embeddings give the same map everywhere.

    Args:
        support: float `[K, C]`.
        queries: float `[Q, C]`; K + Q >= 1.
    """
    rows = np.concatenate([support, queries]).astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.where(length > 0, length, 1.0)
    rows -= rows.mean(axis=0)
    # The right singular vectors of the rows are those of their covariance, which is smaller where rows are many.
    many = len(rows) > rows.shape[1]
    _, values, axes = np.linalg.svd(rows.T @ rows if many else rows, full_matrices=False)
    spread = values if many else values**2
    plane = np.zeros((2, rows.shape[1]))
    plane[: min(2, len(axes))] = axes[:2]
    largest = np.abs(plane).argmax(axis=1)
    plane *= np.where(plane[[0, 1], largest] < 0, -1.0, 1.0)[:, None]
    places = rows @ plane.T
    total = float(spread.sum())
    shares = [float(value) / total if total > 0 else 0.0 for value in spread[:2]] + [0.0, 0.0]
    return EmbeddingMap(places[: len(support)], places[len(support) :], (shares[0], shares[1]))
