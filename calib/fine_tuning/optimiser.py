"""AdamW with a cosine schedule, in numpy."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["AdamW", "cosine_rate"]

_Array = npt.NDArray[np.float32]


def cosine_rate(step: int, steps: int, first: float, last: float) -> float:
    """The learning rate of a step on a half cosine from `first` to `last` (Loshchilov and Hutter 2017).

    Args:
        step: From 0 to `steps`.
        steps: Length of the schedule.
        first: Rate at step 0.
        last: Rate at step `steps`.
    """
    return last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), with PyTorch's defaults and order of operations.

    Args:
        parameters: Arrays that are changed in place.
        decay: Weight decay.
        epsilon: Added to the root of the second moment.
        betas: Decay of the first and the second moment.
    """

    def __init__(
        self,
        parameters: list[_Array],
        *,
        decay: float = 0.01,
        epsilon: float = 1e-6,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        self.parameters = parameters
        self.decay = decay
        self.epsilon = epsilon
        self.betas = betas
        self.count = 0
        self._first = [np.zeros_like(value) for value in parameters]
        self._second = [np.zeros_like(value) for value in parameters]
        # Room for one intermediate result, so that a step allocates nothing.
        self._room = [np.empty_like(value) for value in parameters]

    def step(self, gradients: list[_Array], rate: float) -> None:
        """Moves every parameter once.

        Args:
            gradients: One for each parameter, of its shape.
            rate: Learning rate of this step.
        """
        self.count += 1
        beta1, beta2 = self.betas
        correction1, correction2 = 1 - beta1**self.count, 1 - beta2**self.count
        moments = zip(self.parameters, gradients, self._first, self._second, self._room, strict=True)
        for value, gradient, first, second, room in moments:
            value *= np.float32(1 - rate * self.decay)
            first *= np.float32(beta1)
            np.multiply(gradient, np.float32(1 - beta1), out=room)
            first += room
            second *= np.float32(beta2)
            np.multiply(gradient, gradient, out=room)
            room *= np.float32(1 - beta2)
            second += room
            np.sqrt(second, out=room)
            room /= np.float32(math.sqrt(correction2))
            room += np.float32(self.epsilon)
            np.divide(first, room, out=room)
            room *= np.float32(rate / correction1)
            value -= room
