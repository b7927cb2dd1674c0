"""Drawing the few shots of each class, by the protocol of the public MVREC code."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from typing import TypeVar

from mvrec_edge.runtime.errors import UsageError

__all__ = ["sample_shots"]

Label = TypeVar("Label", bound=Hashable)


def sample_shots(labels: Sequence[Label], shots: int, seed: int) -> list[int]:
    """Draws `shots` instances of each class.

    Classes are taken in the order of their first appearance; for each of them Python's generator is seeded
    anew, the class's list of indices is shuffled and the first `shots` are taken. A class that has fewer gives
    all it has.

    Args:
        labels: The label of every instance, in the order of the table.
        shots: Instances for each class, at least 1.
        seed: 0 to 4 for the five draws of the paper.

    Returns:
        Indices into `labels`, class after class.

    Raises:
        UsageError: `shots` is below 1.
    """
    if shots < 1:
        raise UsageError(f"at least 1 shot is needed, not {shots}")
    by_class: dict[Label, list[int]] = {}
    for index, label in enumerate(labels):
        by_class.setdefault(label, []).append(index)
    drawn: list[int] = []
    for indices in by_class.values():
        random.Random(seed).shuffle(indices)  # noqa: S311 (a draw that can be repeated, not a secret)
        drawn.extend(indices[:shots])
    return drawn
