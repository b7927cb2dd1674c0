"""The temperature of a head that trains, from images that a training has not seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.fine_tuning.training import FineTuning, fine_tune
from mvrec_edge.calib.fitting.selection import HeadCandidate, candidate
from mvrec_edge.runtime.heads import open_head
from mvrec_edge.runtime.support.cache import SupportCache

__all__ = ["cross_fit_temperature", "folds_of"]


def folds_of(cache: SupportCache, count: int) -> list[npt.NDArray[np.intp]]:
    """Which instances are left out together, so that each training keeps an image of every class.

    Images are dealt to the folds, class by class. An image whose class would have none left in a training is in no
    fold.

    Args:
        cache: The support cache.
        count: Folds, 2 or more; 0 for none.

    Returns:
        int `[L]` for each fold; fewer folds where images are too few.
    """
    groups, labels = cache.image_groups, cache.labels
    dealt = np.full(int(groups.max()) + 1, -1)
    turn = 0
    for label in range(len(cache.class_names)):
        images = np.unique(groups[labels == label])
        for image in images[dealt[images] < 0]:
            dealt[image] = turn % max(count, 1)
            turn += 1
    found = []
    for fold in range(count):
        left_out = dealt[groups] == fold
        # A class that lies in this fold alone stays, and with it the rest of its images.
        lost = np.setdiff1d(np.arange(len(cache.class_names)), labels[~left_out])
        left_out &= ~np.isin(groups, groups[np.isin(labels, lost)])
        if left_out.any():
            found.append(np.flatnonzero(left_out))
    return found


def cross_fit_temperature(
    cache: SupportCache,
    tuning: FineTuning,
    on_step: Callable[[int, float], None] = lambda _step, _loss: None,
) -> HeadCandidate | None:
    """Trains once for each fold on the others, and fits a temperature to what these say of what they have not seen.

    The trainings have fewer instances than the one that is kept, so the temperature is on the cautious side.

    Args:
        cache: The support cache with its trained head.
        tuning: How it was trained.
        on_step: Called after each training step with its number and the loss.

    Returns:
        The head with its temperature; None where no image can be left out, or `tuning.folds` is 0.
    """
    logits, labels = [], []
    for fold in folds_of(cache, tuning.folds):
        rest = cache.subset(np.setdiff1d(np.arange(len(cache.labels)), fold))
        trained = fine_tune(rest, tuning, aggregate=cache.head.aggregate, progress=on_step)
        logits.append(open_head(trained).logits(cache.embeddings[fold].astype(np.float32)))
        labels.append(cache.labels[fold])
    if not logits:
        return None
    head = dataclasses.replace(cache.head, temperature=1.0)
    return candidate(head, np.concatenate(logits), np.concatenate(labels))
