"""Probabilities that mean something: a temperature, and how far from the truth they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.heads.aggregation import softmax

__all__ = ["calibration_error", "fit_temperature", "log_loss"]

# Wide enough for every head here; a fit that runs to the end of it says that the data do not decide.
_COLDEST, _HOTTEST = 0.02, 50.0
_GOLDEN = (5**0.5 - 1) / 2


def log_loss(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], temperature: float = 1.0) -> float:
    """Mean cross-entropy of `softmax(logits / temperature)`, with smoothed targets.

    A handful of instances that are all classified rightly would pull any temperature to zero and promise certainty.
    As in Platt's scaling (Platt 1999), the target of H instances is therefore `(H + 1) / (H + 2)` for the true class,
    the rest shared by the others.

    Args:
        logits: float32 `[H, N]`, N >= 2.
        labels: int64 `[H]`.
        temperature: Divides the logits.
    """
    count, classes = logits.shape
    scaled = logits.astype(np.float64) / temperature
    shifted = scaled - scaled.max(axis=1, keepdims=True)
    logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    wrong = 1.0 / (count + 2)
    targets = np.full((count, classes), wrong / (classes - 1))
    targets[np.arange(count), labels] = 1.0 - wrong
    return float(-(targets * logarithms).sum(axis=1).mean())


def fit_temperature(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """The temperature of the smallest `log_loss`, between 0.02 and 50 (Guo et al. 2017, "temperature scaling").

    Args:
        logits: float32 `[H, N]`.
        labels: int64 `[H]`.

    Returns:
        The temperature; 1 where there is nothing to fit it to.
    """
    if not len(logits):
        return 1.0
    # Golden section over the logarithm: the loss has one minimum in 1 / temperature, as cross-entropy is convex.
    low, high = np.log(_COLDEST), np.log(_HOTTEST)
    for _ in range(60):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if log_loss(logits, labels, float(np.exp(left))) <= log_loss(logits, labels, float(np.exp(right))):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def calibration_error(
    logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], temperature: float = 1.0, bins: int = 10
) -> float:
    """Expected calibration error (Naeini et al. 2015): the gap between stated probability and accuracy in equal bins.

    Args:
        logits: float32 `[H, N]`, H >= 1.
        labels: int64 `[H]`.
        temperature: Divides the logits.
        bins: Bins over 0 to 1.

    Returns:
        0 to 1.
    """
    probabilities = softmax((logits / np.float32(temperature)).astype(np.float32))
    stated = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    places = np.minimum((stated * bins).astype(int), bins - 1)
    gap = 0.0
    for place in range(bins):
        inside = places == place
        if inside.any():
            gap += inside.mean() * abs(float(stated[inside].mean()) - float(right[inside].mean()))
    return float(gap)
