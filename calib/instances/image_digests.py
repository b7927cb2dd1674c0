"""Which labelled instances lie on one image, whatever its name."""

from __future__ import annotations

from pathlib import Path

from mvrec_edge.calib.instances.labelled import LabelledSet
from mvrec_edge.runtime.errors import ImageError
from mvrec_edge.runtime.files import sha256_file

__all__ = ["image_digests", "images_of_classes"]

# 128 bits: enough to tell images apart, and half of the text in a cache.
_DIGITS = 32


def image_digests(labelled: LabelledSet) -> tuple[str, ...]:
    """What tells the image of each instance from others: a digest of its file.

    The content and not the name, because an image with defects of two classes lies in two class folders, and because
    two folders may have files of one name.

    Args:
        labelled: The instances.

    Returns:
        One text for each instance, in their order.

    Raises:
        ImageError: An image cannot be read any more.
    """
    digests: dict[Path, str] = {}
    for path in labelled.places_by_image:
        try:
            digests[path] = sha256_file(path)[:_DIGITS]
        except OSError as error:
            raise ImageError(f"cannot be read any more: {error.strerror or error}", where=path) from error
    return tuple(digests[instance.image] for instance in labelled.instances)


def images_of_classes(labelled: LabelledSet) -> dict[str, int]:
    """How many images the instances of each class lie on, in the order of the classes.

    Raises:
        ImageError: An image cannot be read any more.
    """
    found: dict[str, set[str]] = {}
    for instance, digest in zip(labelled.instances, image_digests(labelled), strict=True):
        found.setdefault(instance.label, set()).add(digest)
    return {name: len(images) for name, images in found.items()}
