"""Masks in a folder of their own, under the paths of their images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.regions.formats.pairing import MASK_ENDINGS, folded
from mvrec_edge.runtime.regions.label_files import nfc
from mvrec_edge.runtime.regions.listing import list_files

__all__ = ["MaskTree", "find_mask_trees"]

# What the two folders are called where they lie beside each other, whatever the case.
_IMAGES = ("images", "image", "imgs", "img")
_MASKS = ("masks", "mask", "ground_truth")


class MaskTree:
    """A folder of images, and one of their masks.

    Args:
        images: The folder of the images.
        masks: The folder of the masks; it may lie within the other one.
    """

    def __init__(self, images: Path, masks: Path) -> None:
        self.images = images
        self.masks = masks
        self._within = masks.resolve()
        self._same = self._within == images.resolve()
        self._by_name: dict[tuple[str, ...], list[Path]] | None = None

    @classmethod
    def beside(cls, images: Path) -> MaskTree | None:
        """The tree of a folder that is called as folders of images are, and has the one folder of masks beside it."""
        if images.name.lower() not in _IMAGES or not images.parent.is_dir():
            return None
        beside = [place for place in images.parent.iterdir() if place.name.lower() in _MASKS and place.is_dir()]
        return cls(images, beside[0]) if len(beside) == 1 else None

    def holds(self, file: Path) -> bool:
        """Whether a file lies among the masks, and is not one of the images at once."""
        return not self._same and file.resolve().is_relative_to(self._within)

    def mask_of(self, image: Path) -> Path:
        """The mask of an image, found under the image's own path: the very name comes first.

        Raises:
            AnnotationError: There is none, or several.
        """
        inside = image.relative_to(self.images).with_suffix("")
        found: list[Path] = []
        for spelled in (str, nfc, folded):
            names = {tuple(map(spelled, (*inside.parts[:-1], inside.name + end))) for end in ("", *MASK_ENDINGS)}
            candidates = [mask for name in names for mask in self._masks().get(tuple(map(folded, name)), ())]
            found = sorted(
                mask for mask in candidates if mask != image and tuple(map(spelled, self._parts(mask))) in names
            )
            if found:
                break
        place = self.masks / inside.parent
        if not found:
            raise AnnotationError(
                f"the image has no mask {inside.name}.png or {inside.name}_mask.png in {place}",
                where=image,
                fix="put the mask there, under the image's own path",
            )
        if len(found) > 1:
            raise AnnotationError(
                f"the image has several masks: {', '.join(mask.name for mask in found[:5])}",
                where=image,
                fix="leave one of them there",
            )
        return found[0]

    def without_image(self, images: Iterable[Path]) -> list[Path]:
        """The masks that are named after none of the images."""
        names = set()
        for image in images:
            inside = image.relative_to(self.images).with_suffix("")
            names |= {tuple(map(folded, (*inside.parts[:-1], inside.name + end))) for end in ("", *MASK_ENDINGS)}
        return [mask for name, masks in self._masks().items() if name not in names for mask in masks]

    def _parts(self, mask: Path) -> tuple[str, ...]:
        return mask.relative_to(self.masks).with_suffix("").parts

    def _masks(self) -> dict[tuple[str, ...], list[Path]]:
        """The masks by their names, whatever the case of these; all are listed once."""
        if self._by_name is None:
            self._by_name = {}
            for mask in list_files(self.masks, IMAGE_SUFFIXES):
                self._by_name.setdefault(tuple(map(folded, self._parts(mask))), []).append(mask)
        return self._by_name


def find_mask_trees(root: Path, files: Iterable[Path]) -> list[MaskTree]:
    """Each folder `images` with a folder `masks` beside it, at any depth.

    Args:
        root: The folder that was given.
        files: The image files in it.
    """
    places = {place for file in files for place in file.parents if place != root and place.is_relative_to(root)}
    trees = [MaskTree.beside(place) for place in sorted(places)]
    return [tree for tree in trees if tree is not None]
