"""What one head answered to each query in each draw: all that an evaluation's figures are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["NOT_ASKED", "Answers"]

#: The predicted class of a query that a draw does not classify.
NOT_ASKED = -1


@dataclass(frozen=True)
class Answers:
    """The answers of one head at one number of shots, over D draws and the Q different queries of all of them.

    Attributes:
        labels: int64 `[Q]`, the true class of each query.
        images: int64 `[Q]`, equal for queries of one image; where images are not known, each query is its own.
        predicted: int64 `[D, Q]`, the class that is answered; `NOT_ASKED` where a draw does not classify the query.
        true_probability: float32 `[D, Q]`, the probability of the true class, 0 to 1.
        stated: float32 `[D, Q]`, the probability of the class that is answered, 0 to 1.
        square: float32 `[D, Q]`, the sum over the classes of `(probability - truth)^2`, 0 to 2.
    """

    labels: npt.NDArray[np.int64]
    images: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    true_probability: npt.NDArray[np.float32]
    stated: npt.NDArray[np.float32]
    square: npt.NDArray[np.float32]

    @classmethod
    def empty(cls, labels: npt.NDArray[np.int64], images: npt.NDArray[np.int64] | None, draws: int) -> Answers:
        """Room for the answers, filled by `put`.

        Args:
            labels: int64 `[Q]`.
            images: int64 `[Q]`, or None where images are not known.
            draws: D.
        """
        shape = (draws, len(labels))
        known = np.arange(len(labels)) if images is None else images
        zeros = (np.zeros(shape, np.float32) for _ in range(3))
        return cls(labels, known.astype(np.int64), np.full(shape, NOT_ASKED, np.int64), *zeros)

    def put(self, draw: int, queries: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]) -> None:
        """Fills in one draw.

        Args:
            draw: Its number.
            queries: int64 `[K]`, the columns of the queries that it classifies.
            probabilities: float32 `[K, N]`; the most probable class is the answer, as for `classify`.
        """
        rows, labels = np.arange(len(queries)), self.labels[queries]
        predicted = probabilities.argmax(axis=1)
        of_truth = probabilities[rows, labels]
        self.predicted[draw, queries] = predicted
        self.true_probability[draw, queries] = of_truth
        self.stated[draw, queries] = probabilities[rows, predicted]
        # The class that is true would count p^2 among the others, and counts (1 - p)^2.
        squares = np.square(probabilities, dtype=np.float64).sum(axis=1)
        self.square[draw, queries] = squares - 2.0 * of_truth + 1.0

    @cached_property
    def asked(self) -> npt.NDArray[np.bool_]:
        """Bool `[D, Q]`: whether the draw classifies the query."""
        asked: npt.NDArray[np.bool_] = self.predicted != NOT_ASKED
        return asked

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """Bool `[D, Q]`: whether the answer is right; False where there is none."""
        right: npt.NDArray[np.bool_] = self.predicted == self.labels
        return right

    @cached_property
    def weights(self) -> npt.NDArray[np.float64]:
        """Float64 `[D, Q]`: what each answer weighs, so that draws weigh alike and sum to 1, whatever they classify."""
        weights: npt.NDArray[np.float64] = self.asked / self.asked.sum(axis=1, keepdims=True)
        return weights

    def first(self, draws: int) -> Answers:
        """Those of the first draws alone."""
        shares = (each[:draws] for each in (self.true_probability, self.stated, self.square))
        return Answers(self.labels, self.images, self.predicted[:draws], *shares)
