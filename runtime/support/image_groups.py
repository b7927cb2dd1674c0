"""Which support instances lie on one image, and so are left out of the support together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["can_be_left_out", "image_groups", "images_of_classes"]


def image_groups(images: Sequence[str], count: int) -> npt.NDArray[np.int64]:
    """Numbers the images of instances.

    Args:
        images: What tells the image of each instance from others, empty where that is not known; or nothing.
        count: Number of instances NK.

    Returns:
        int64 `[NK]`: equal for instances of one image. An instance whose image is not known has one of its own.
    """
    numbers: dict[object, int] = {}
    keys = [image or place for place, image in enumerate(images)] if images else range(count)
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def images_of_classes(
    groups: npt.NDArray[np.integer], labels: npt.NDArray[np.integer], classes: int
) -> npt.NDArray[np.int64]:
    """How many images the instances of each class lie on, int64 `[N]`.

    Args:
        groups: int `[NK]`, as `image_groups` gives them.
        labels: int `[NK]`.
        classes: Number of classes N.
    """
    pairs = np.unique(np.stack([labels, groups], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=classes).astype(np.int64)


def can_be_left_out(groups: npt.NDArray[np.integer], labels: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Which instances can be left out with their image: those whose class keeps an instance of another one.

    Args:
        groups: int `[NK]`, as `image_groups` gives them.
        labels: int `[NK]`.

    Returns:
        bool `[NK]`.
    """
    kept: npt.NDArray[np.bool_] = images_of_classes(groups, labels, 0)[labels] > 1
    return kept
