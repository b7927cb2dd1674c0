"""From the views of a region to one decision."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["AGGREGATIONS", "aggregate_logits", "aggregate_probabilities", "softmax"]

#: How the views of a query become one decision; see `ZipAdapter`.
AGGREGATIONS = ("uncertainty", "mean")


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Softmax over the last axis, without overflow."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: npt.NDArray[np.float32] = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


def aggregate_probabilities(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Averages the views' probabilities, the certain views weighing more.

    A view's weight is `1 - H(p) / log N`, with `H` the entropy over the N classes: 1 for a view that is sure,
    0 for one that knows nothing. Weights are normalised over the views of a region. The rule is that of the
    public MVREC code; the paper averages the embeddings instead.

    Args:
        probabilities: float32 `[M, V, N]`, N >= 2, rows summing to 1.

    Returns:
        float32 `[M, N]`, rows summing to 1. Where no view knows anything, all weigh the same.
    """
    classes = probabilities.shape[-1]
    logarithm = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    entropy = -(probabilities * logarithm).sum(axis=-1)
    weights = np.maximum(1.0 - entropy / np.log(classes), 0.0)
    total = weights.sum(axis=-1, keepdims=True)
    even = np.full_like(weights, 1.0 / weights.shape[-1])
    weights = np.divide(weights, total, out=even, where=total > 0)
    result: npt.NDArray[np.float32] = np.einsum("mv,mvn->mn", weights, probabilities).astype(np.float32)
    return result


def aggregate_logits(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logarithms of the averaged probabilities, float32 `[M, V, N]` to `[M, N]`; see `aggregate_probabilities`."""
    merged = aggregate_probabilities(probabilities)
    result: npt.NDArray[np.float32] = np.log(np.maximum(merged, np.finfo(np.float32).tiny))
    return result
