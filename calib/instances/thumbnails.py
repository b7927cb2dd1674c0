"""The small pictures that a support cache keeps of its instances, for reports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.instances.labelled import LabelledSet
from mvrec_edge.runtime.pictures.region_picture import THUMBNAIL_SIDE, region_picture
from mvrec_edge.runtime.support.thumbnails import LARGEST_THUMBNAIL, LARGEST_THUMBNAILS

__all__ = ["Thumbnails", "draw_thumbnails"]


class Thumbnails:
    """Pictures of labelled instances, as many as a cache may hold.

    Args:
        labelled: The instances.
        class_names: All classes, for the colours of the outlines.

    Attributes:
        pictures: A JPEG file of each instance, empty where it is not drawn or beyond what a cache may hold.
    """

    def __init__(self, labelled: LabelledSet, class_names: Sequence[str]) -> None:
        self._instances = labelled.instances
        self._class_names = class_names
        self._room = LARGEST_THUMBNAILS
        self.pictures = [b""] * len(labelled.instances)

    def draw(self, image: npt.NDArray[np.uint8], places: Sequence[int]) -> None:
        """Draws the instances at some places, which lie on one image, uint8 `[H, W, 3]`."""
        for place in places:
            if self._room < LARGEST_THUMBNAIL:
                return
            instance = self._instances[place]
            picture = region_picture(image, instance.region, instance.label, self._class_names, side=THUMBNAIL_SIDE)
            if len(picture) <= LARGEST_THUMBNAIL:
                self.pictures[place] = picture
                self._room -= len(picture)


def draw_thumbnails(labelled: LabelledSet, class_names: Sequence[str]) -> tuple[bytes, ...]:
    """Makes the pictures of instances that are not encoded now.

    Args:
        labelled: The instances.
        class_names: All classes, for the colours of the outlines.

    Returns:
        A JPEG file of each instance, empty beyond what a cache may hold.

    Raises:
        ImageError: An image cannot be read any more.
    """
    thumbnails = Thumbnails(labelled, class_names)
    for path, places in labelled.places_by_image.items():
        thumbnails.draw(labelled.images.read(path), places)
    return tuple(thumbnails.pictures)
