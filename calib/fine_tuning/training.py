"""Training of the Zip-Adapter-F (`zip-f`) in numpy: analytic gradients, AdamW, a cosine schedule.

The samples are all views of all support instances with their labels, in one batch; W, b and the keys are trained
with cross-entropy on the logits (MVREC, section "Zip-Adapter-F"; rates as in the released code).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.fine_tuning.optimiser import AdamW, cosine_rate
from mvrec_edge.calib.fine_tuning.projection import Projection
from mvrec_edge.calib.fine_tuning.triplet import triplet_loss
from mvrec_edge.calib.setting_checks import check_integer, check_number
from mvrec_edge.runtime.errors import SupportError, UsageError
from mvrec_edge.runtime.heads.kernel_head import TAU, class_shares
from mvrec_edge.runtime.support.cache import Adapter, SupportCache
from mvrec_edge.runtime.support.head_settings import HeadSettings
from mvrec_edge.runtime.threads import limited_products, usable_cpus

__all__ = ["FineTuning", "Gradients", "fine_tune", "loss_and_gradients"]

_Array = npt.NDArray[np.float32]
_MOST_FOLDS = 100


@dataclass(frozen=True)
class FineTuning:
    """How a Zip-Adapter-F is trained.

    Attributes:
        steps: Optimiser steps.
        rate: Learning rate at the start.
        last_rate: Learning rate at the end.
        beta: Sharpness of the similarity while training and afterwards.
        triplet: Weight of the batch-hard triplet loss; 0 leaves it out, as the released code does, 4 is the paper's.
        folds: Further trainings, each without a part of the images, that the temperature is fitted on; 0 keeps it at 1.

    Raises:
        UsageError: A setting is not usable.
    """

    steps: int = 500
    rate: float = 1e-4
    last_rate: float = 1e-5
    beta: float = 1.0
    triplet: float = 0.0
    folds: int = 3

    def __post_init__(self) -> None:
        check_integer("the number of steps", self.steps)
        check_integer("the number of folds", self.folds)
        if self.folds != 0 and not 2 <= self.folds <= _MOST_FOLDS:
            raise UsageError(f"folds are 0, or from 2 to {_MOST_FOLDS}, not {self.folds}")
        for what in ("rate", "last_rate", "beta", "triplet"):
            check_number(f"'{what}' of fine-tuning", getattr(self, what))
        above_zero = min(self.steps, self.rate, self.beta) > 0
        if not above_zero or min(self.last_rate, self.triplet) < 0:
            raise UsageError(
                "fine-tuning needs steps, rate and beta above 0, and no negative last rate or triplet weight"
            )


@dataclass(frozen=True)
class Gradients:
    """The derivative of the loss by each trained array.

    Attributes:
        weight: float32 `[C, C]`.
        bias: float32 `[C]`.
        keys: float32 `[NK, C]`.
    """

    weight: _Array
    bias: _Array
    keys: _Array


def fine_tune(
    cache: SupportCache,
    settings: FineTuning | None = None,
    *,
    aggregate: str = "uncertainty",
    progress: Callable[[int, float], None] = lambda _step, _loss: None,
) -> SupportCache:
    """Trains a Zip-Adapter-F on a support cache.

    Nothing is drawn: W and b begin at zero, the keys at the means over views, and the batch is everything; the same
    cache gives the same adapter.

    Args:
        cache: The support cache.
        settings: How to train; by default as in the released code.
        aggregate: How the head makes one decision of the views.
        progress: Called after each step with its number, from 1, and the loss.

    Returns:
        A cache with the adapter, whose head is `zip-f`.

    Raises:
        SupportError: The loss is not finite any more.
    """
    chosen = settings or FineTuning()
    instances, views, channels = cache.embeddings.shape
    samples = cache.embeddings.astype(np.float32).reshape(instances * views, channels)
    labels = np.repeat(cache.labels, views)
    adapter = Adapter(
        weight=np.zeros((channels, channels), np.float32),
        bias=np.zeros(channels, np.float32),
        keys=cache.keys.copy(),
    )
    projections = Projection(*samples.shape), Projection(instances, channels)
    optimiser = AdamW([adapter.weight, adapter.bias, adapter.keys])
    # Half of the cores: where other work keeps them busy, a product on all of them waits for the last one.
    threads = max(1, usable_cpus() // 2)
    with limited_products(threads):
        for step in range(chosen.steps):
            loss, gradients = loss_and_gradients(
                adapter,
                samples,
                labels,
                cache.labels,
                len(cache.class_names),
                chosen.beta,
                chosen.triplet,
                projections=projections,
            )
            if not np.isfinite(loss):
                raise SupportError(
                    f"fine-tuning diverged at step {step + 1}: the loss is not finite", fix="use a smaller --triplet"
                )
            rate = cosine_rate(step, chosen.steps, chosen.rate, chosen.last_rate)
            optimiser.step([gradients.weight, gradients.bias, gradients.keys], rate)
            progress(step + 1, loss)
    head = HeadSettings(name="zip-f", beta=chosen.beta, aggregate=aggregate)
    return dataclasses.replace(cache, adapter=adapter, head=head)


def loss_and_gradients(
    adapter: Adapter,
    samples: _Array,
    labels: npt.NDArray[np.int64],
    key_labels: npt.NDArray[np.int64],
    classes: int,
    beta: float,
    triplet: float = 0.0,
    *,
    projections: tuple[Projection, Projection] | None = None,
) -> tuple[float, Gradients]:
    """The training loss and its derivatives.

    With `Z(x) = SiLU(x W^T + b) + x`, `u = Z / |Z|`, cosines `c = u_x u_k`, logits
    `l_n = (r_n / tau) sum_{i in n} exp(-beta (1 - c_i))`, the loss is the mean cross-entropy of `l`, plus `triplet`
    times the batch-hard triplet loss on `Z(x)`. `r_n` is 1 where the classes are equally large; see `class_shares`.

    Args:
        adapter: W, b and keys.
        samples: float32 `[Q, C]`.
        labels: int64 `[Q]`.
        key_labels: int64 `[NK]`.
        classes: N.
        beta: Sharpness of the similarity.
        triplet: Weight of the triplet loss.
        projections: Room for the samples and for the keys, which a training uses again at each step; by default new.

    Returns:
        The loss, and its derivatives.
    """
    query, key = projections or (Projection(*samples.shape), Projection(*adapter.keys.shape))
    query.project(samples, adapter)
    key.project(adapter.keys, adapter)
    shares = class_shares(np.bincount(key_labels, minlength=classes))
    of_class = np.zeros((len(key_labels), classes), np.float32)
    of_class[np.arange(len(key_labels)), key_labels] = shares[key_labels]
    affinity = np.exp(np.float32(beta) * (query.unit @ key.unit.T - np.float32(1.0)))
    logits = affinity @ of_class / np.float32(TAU)
    logits -= logits.max(axis=1, keepdims=True)
    exponential = np.exp(logits)
    total = exponential.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = float(np.mean(np.log(total[:, 0]) - logits[rows, labels]))

    by_logits = exponential / total
    by_logits[rows, labels] -= 1.0
    by_logits /= np.float32(len(labels))
    by_cosine = (by_logits @ of_class.T) * affinity * np.float32(beta / TAU)
    by_query, by_key = by_cosine @ key.unit, by_cosine.T @ query.unit
    query.back_from_unit(by_query)
    key.back_from_unit(by_key)
    if triplet > 0:
        extra, by_projected = triplet_loss(query.projected, labels)
        loss += triplet * extra
        by_query += np.float32(triplet) * by_projected
    inner_query, inner_key = query.back_to_inner(by_query), key.back_to_inner(by_key)
    return loss, Gradients(
        weight=inner_query.T @ samples + inner_key.T @ adapter.keys,
        bias=inner_query.sum(axis=0) + inner_key.sum(axis=0),
        keys=by_key + inner_key @ adapter.weight,
    )
