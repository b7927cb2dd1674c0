"""Drawing the few shots of each class, by the protocol of the public MVREC code."""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from mvrec_edge.runtime.errors import UsageError

__all__ = ["sample_by_image", "sample_shots"]

Label = TypeVar("Label", bound=Hashable)


def sample_shots(labels: Sequence[Label], shots: int | Mapping[Label, int], seed: int) -> list[int]:
    """Draws `shots` instances of each class.

    Classes are taken in the order of their first appearance; for each of them Python's generator is seeded
    anew, the class's list of indices is shuffled and the first `shots` are taken. A class that has fewer gives
    all it has.

    Args:
        labels: The label of every instance, in the order of the table.
        shots: Instances for each class, at least 1; a number of its own for each where they are given by label.
        seed: 0 to 4 for the five draws of the paper.

    Returns:
        Indices into `labels`, class after class.

    Raises:
        UsageError: `shots` is below 1.
    """
    return sample_by_image(labels, range(len(labels)), shots, seed)


def sample_by_image(
    labels: Sequence[Label], images: Sequence[Hashable], shots: int | Mapping[Label, int], seed: int
) -> list[int]:
    """Draws images until each class has its shots.

    The images of each class are shuffled as `sample_shots` shuffles its instances, and taken whole, one after the
    other; of the last one only as many instances as are missing. An image that another class has drawn comes first, so
    that few images are drawn. Where each image has one instance, this is `sample_shots`.

    Args:
        labels: The label of every instance, in the order of the table.
        images: What tells the image of each instance from others.
        shots: Instances for each class, at least 1; a number of its own for each where they are given by label.
        seed: As for `sample_shots`.

    Returns:
        Indices into `labels`, class after class.

    Raises:
        UsageError: `shots` is below 1.
    """
    fewest = shots if isinstance(shots, int) else min(shots.values(), default=1)
    if fewest < 1:
        raise UsageError(f"at least 1 shot is needed, not {fewest}")
    by_class: dict[Label, dict[Hashable, list[int]]] = {}
    for index, (label, image) in enumerate(zip(labels, images, strict=True)):
        by_class.setdefault(label, {}).setdefault(image, []).append(index)
    drawn: list[int] = []
    taken: set[Hashable] = set()
    for label, of_image in by_class.items():
        wanted = shots if isinstance(shots, int) else shots[label]
        order = list(of_image)
        random.Random(seed).shuffle(order)  # noqa: S311 (a draw that can be repeated, not a secret)
        own: list[int] = []
        for image in sorted(order, key=lambda image: image not in taken):
            if len(own) >= wanted:
                break
            own += of_image[image]
            taken.add(image)
        drawn += own[:wanted]
    return drawn
