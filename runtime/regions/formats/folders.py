"""Folders: images and a mask for each, one folder for each class."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.images.image_files import is_folder, is_regular_file
from mvrec_edge.runtime.regions.annotation import Annotation, MaskFileShape
from mvrec_edge.runtime.regions.formats.pairing import MASK_ENDINGS, no_mask, pair_masks
from mvrec_edge.runtime.regions.label_files import list_files
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder

__all__ = ["open_folders"]

_FORMAT = "folders"


def open_folders(path: Path, masks: Path | None = None) -> RegionSource:
    """Opens a folder of images with masks, or one image.

    Args:
        path: A folder: the first level of folders in it names the classes, images in `path` itself have none. Or
            an image, whose class is not known.
        masks: A folder with the masks under the images' own paths, whatever the suffix; of one image also its mask.
            By default masks are beside their images (see `pair_masks`).

    Returns:
        The source, its images in the order of their paths.

    Raises:
        InputError: There is no image, or none has a mask.
    """
    builder = SourceBuilder(path, _FORMAT)
    if masks is not None and not is_folder(masks) and not is_regular_file(masks):
        raise InputError("there are no such masks", where=masks, fix="check the path")
    if is_folder(path):
        if masks is not None and not is_folder(masks):
            raise InputError(
                "one mask does not do for a folder of images", where=masks, fix="give the folder of the masks"
            )
        _add_folder(builder, path, masks)
    else:
        _add_one(builder, path, masks)
    return builder.build("there is no image with a mask", "put a mask beside each image, or give --masks")


def _add_folder(builder: SourceBuilder, root: Path, masks: Path | None) -> None:
    files = list_files(root, IMAGE_SUFFIXES)
    pairs: list[tuple[Path, Path]] = []
    if masks is None:
        # Sorted by path, a folder's own files may stand on both sides of those of a folder within it.
        for _, together in groupby(sorted(files, key=lambda file: file.parent), key=lambda file: file.parent):
            pairing = pair_masks(together)
            pairs.extend(pairing.masks.items())
            builder.problems.extend(pairing.problems)
    else:
        tree = masks.resolve()
        for image in files:
            # The tree may lie within the folder of the images.
            if not image.resolve().is_relative_to(tree) or tree == root.resolve():
                try:
                    pairs.append((image, _in_tree(image, root, masks)))
                except AnnotationError as error:
                    builder.problem(error)
    pairs.sort(key=lambda pair: pair[0].relative_to(root).parts)
    for index, (image, mask) in enumerate(pairs):
        inside = image.relative_to(root)
        label = inside.parts[0] if len(inside.parts) > 1 else None
        place = root if masks is None else masks
        annotation = Annotation(MaskFileShape(mask), label, mask.relative_to(place).as_posix(), index)
        builder.add(inside.as_posix(), image, annotation)


def _add_one(builder: SourceBuilder, image: Path, masks: Path | None) -> None:
    try:
        if masks is None:
            pairing = pair_masks(list_files(image.parent, IMAGE_SUFFIXES, recursive=False))
            if image not in pairing.masks:
                raise next((error for error in pairing.problems if error.where == str(image)), no_mask(image))
            mask = pairing.masks[image]
        elif is_folder(masks):
            mask = _in_tree(image, image.parent, masks)
        else:
            mask = masks
    except AnnotationError as error:
        builder.problem(error)
    else:
        builder.add(image.name, image, Annotation(MaskFileShape(mask), None, mask.name, 0))


def _in_tree(image: Path, root: Path, masks: Path) -> Path:
    """The mask of an image in a tree of masks."""
    stem = masks / image.relative_to(root).with_suffix("")
    found = [
        candidate
        for ending in ("", *MASK_ENDINGS)
        for suffix in IMAGE_SUFFIXES
        for spelled in (suffix, suffix.upper())
        if is_regular_file(candidate := stem.with_name(stem.name + ending + spelled)) and candidate != image
    ]
    if not found:
        raise AnnotationError(
            f"the image has no mask {stem.name}.png or {stem.name}_mask.png in {stem.parent}",
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
