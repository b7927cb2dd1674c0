"""Folders: images and a mask for each, or cut-out defects without masks; one folder for each class."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError, InputError, InputWarning
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.images.foreign import UNREAD_SUFFIXES
from mvrec_edge.runtime.images.image_files import is_folder, is_regular_file, why_no_file
from mvrec_edge.runtime.regions.annotation import Annotation, Shape, UnusableShape
from mvrec_edge.runtime.regions.formats.mask_trees import MaskTree, find_mask_trees
from mvrec_edge.runtime.regions.formats.pairing import mask_of_pair, no_mask, pair_masks
from mvrec_edge.runtime.regions.label_files import clean_label
from mvrec_edge.runtime.regions.listing import list_files
from mvrec_edge.runtime.regions.shapes import WholeImageShape
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder, named
from mvrec_edge.runtime.wording import counted

__all__ = ["has_masks", "mask_files", "open_folders"]

_FORMAT = "folders"
#: The folders of images and masks of an MVTec AD category.
_MVTEC_AD = ("test", "ground_truth")
_NOTHING = "there is no image with a mask"
_FIX = (
    "put a mask beside each image, or give --masks, or a CSV file of boxes with the columns image,x1,y1,x2,y2; "
    "where each image is a cut-out defect, give --input full"
)


def open_folders(path: Path, masks: Path | None = None, *, whole_images: bool = False) -> RegionSource:
    """Opens a folder of images with masks, or one image.

    Args:
        path: A folder: the first level of folders in it names the classes, images in `path` itself have none. Or
            an image, whose class is not known.
        masks: A folder with the masks under the images' own paths, whatever the suffix; of one image also its mask.
            By default masks are beside their images (see `pair_masks`), or in a folder `masks` beside a folder
            `images` (see `find_mask_trees`), which then is no class.
        whole_images: Whether images are cut-out defects where no image has a mask.

    Returns:
        The source, its images in the order of their paths.

    Raises:
        InputError: There is no image, or none has a mask.
    """
    builder = SourceBuilder(path, _FORMAT)
    if masks is not None and not is_folder(masks) and not is_regular_file(masks):
        raise InputError(why_no_file(masks, "there are no such masks"), where=masks, fix="check the path")
    if is_folder(path):
        if masks is not None and not is_folder(masks):
            raise InputError(
                "one mask does not do for a folder of images", where=masks, fix="give the folder of the masks"
            )
        _add_folder(builder, path, masks, whole_images)
    else:
        _add_one(builder, path, masks, whole_images)
    return builder.build(_NOTHING, _beside(path) or _FIX)


def has_masks(folder: Path) -> bool:
    """Whether images of a folder have masks that would be read, were there no label file."""
    return bool(_pairs(folder, list_files(folder, IMAGE_SUFFIXES), SourceBuilder(folder, _FORMAT)))


def mask_files(folder: Path, files: list[Path]) -> set[Path]:
    """Which of the image files of a folder are masks: those with an image, and all in a folder of masks."""
    pairs = _pairs(folder, files, SourceBuilder(folder, _FORMAT))
    trees = find_mask_trees(folder, files)
    return {mask for _, mask in pairs} | {file for file in files if any(tree.holds(file) for tree in trees)}


def _add_folder(builder: SourceBuilder, root: Path, masks: Path | None, whole_images: bool) -> None:
    files = list_files(root, IMAGE_SUFFIXES)
    if masks is None:
        pairs = _pairs(root, files, builder)
    else:
        tree = MaskTree(root, masks)
        pairs = _in_tree(tree, [image for image in files if not tree.holds(image)], builder)
    if whole_images and not pairs:
        builder.problems.clear()
        _name_unread(builder, root, files)
        for index, image in enumerate(files):
            name = image.relative_to(root).as_posix()
            builder.add(name, image, _annotation(WholeImageShape(), image, root, f"{name}#0", index))
        return
    _name_unread(builder, root, (file for pair in pairs for file in pair))
    pairs.sort(key=lambda pair: pair[0].relative_to(root).parts)
    for index, (image, mask) in enumerate(pairs):
        place = root if masks is None else masks
        annotation = _annotation(mask_of_pair(image, mask), image, root, mask.relative_to(place).as_posix(), index)
        builder.add(image.relative_to(root).as_posix(), image, annotation)


def _pairs(root: Path, files: list[Path], builder: SourceBuilder) -> list[tuple[Path, Path]]:
    """Images and their masks where no folder of masks was named; what is wrong goes into the builder."""
    pairs: list[tuple[Path, Path]] = []
    trees = find_mask_trees(root, files)
    of_place = {place: tree for tree in trees for place in (tree.images, tree.masks)}
    rest: list[Path] = []
    images: dict[Path, list[Path]] = {tree.images: [] for tree in trees}
    for file in files:
        tree = next((of_place[place] for place in file.parents if place in of_place), None)
        if tree is None:
            rest.append(file)
        elif not tree.holds(file):
            images[tree.images].append(file)
    for tree in trees:
        pairs += _in_tree(tree, images[tree.images], builder)
        for mask in tree.without_image(images[tree.images]):
            what = f"the mask has no image in {tree.images}"
            builder.problem(AnnotationError(what, where=mask, fix="put the image there, under the mask's own path"))
    # Sorted by path, a folder's own files may stand on both sides of those of a folder within it.
    for _, together in groupby(sorted(rest, key=lambda file: file.parent), key=lambda file: file.parent):
        pairing = pair_masks(together)
        pairs.extend(pairing.masks.items())
        builder.problems.extend(pairing.problems)
    return pairs


def _name_unread(builder: SourceBuilder, root: Path, used: Iterable[Path]) -> None:
    """Names the files of image formats that are not read: in a folder of a class, one is an image that would be lost.

    Args:
        builder: Given a problem for each of these, and one warning of all others.
        root: The folder that was given.
        used: What is read. A file beside one of the same name, as a camera's raw file, is lost nowhere.
    """
    read = {image.with_suffix("") for image in used}
    others: list[Path] = []
    for file in list_files(root, UNREAD_SUFFIXES):
        if file.with_suffix("") in read or _class_folder(file, root) is None:
            others.append(file)
            continue
        what = f"is a file of the image format {file.suffix.lower()}, which is not read"
        builder.problem(AnnotationError(what, where=file, fix="save it as PNG, or take it out of the folder"))
    if others:
        what = f"{counted(len(others), 'file')} of image formats that are not read: {named(others)}"
        builder.warnings.append(InputWarning(what, str(root), "save as PNG what is an image of a part"))


def _in_tree(tree: MaskTree, images: list[Path], builder: SourceBuilder) -> list[tuple[Path, Path]]:
    """Images and their masks in a folder of masks."""
    found: dict[Path, list[Path]] = {}
    for image in images:
        try:
            found.setdefault(tree.mask_of(image), []).append(image)
        except AnnotationError as error:
            builder.problem(error)
    pairs: list[tuple[Path, Path]] = []
    for mask, owners in found.items():
        # Names that differ in case alone may lead to one mask; it belongs to the one that is spelled as it is.
        same = [image for image in owners if mask.stem.startswith(image.stem)]
        owner = owners[0] if len(owners) == 1 else same[0] if len(same) == 1 else None
        if owner is not None:
            pairs.append((owner, mask))
        for image in owners:
            if image is not owner:
                what = f"the mask {mask.name} is that of several images: {', '.join(each.name for each in owners[:5])}"
                builder.problem(AnnotationError(what, where=image, fix="give each image a mask of its own"))
    return pairs


def _annotation(shape: Shape, image: Path, root: Path, source: str, index: int) -> Annotation:
    """What marks an image; a folder whose name cannot be that of a class costs its images alone."""
    try:
        return Annotation(shape, _label(image, root), source, index)
    except AnnotationError as error:
        return Annotation(UnusableShape(error), None, source, index)


def _label(image: Path, root: Path) -> str | None:
    """The class of an image, as its folder is called; raises `AnnotationError` where that is no name of a class."""
    folder = _class_folder(image, root)
    return None if folder is None else clean_label(folder, str(image))


def _class_folder(image: Path, root: Path) -> str | None:
    """The first folder on the way to an image, but for those that only part images from masks."""
    parts = image.relative_to(root).parts[:-1]
    place = root
    for part in parts:
        if not MaskTree.beside(place / part):
            return part
        place /= part
    return None


def _add_one(builder: SourceBuilder, image: Path, masks: Path | None, whole_images: bool) -> None:
    try:
        if masks is not None:
            mask = MaskTree(image.parent, masks).mask_of(image) if is_folder(masks) else masks
        elif (beside := MaskTree.beside(image.parent)) is not None:
            mask = beside.mask_of(image)
        else:
            pairing = pair_masks(list_files(image.parent, IMAGE_SUFFIXES, recursive=False))
            if image not in pairing.masks:
                raise next((error for error in pairing.problems if error.where == str(image)), no_mask(image))
            mask = pairing.masks[image]
    except AnnotationError as error:
        if whole_images:
            builder.add(image.name, image, Annotation(WholeImageShape(), None, f"{image.name}#0", 0))
        else:
            builder.problem(error)
    else:
        builder.add(image.name, image, Annotation(mask_of_pair(image, mask), None, mask.name, 0))


def _beside(path: Path) -> str | None:
    """What to do where the masks lie in a folder beside the one that was given."""
    for place in (path, path.parent):
        images, masks = (place / name for name in _MVTEC_AD)
        if path in (place, images) and is_folder(images) and is_folder(masks):
            return (
                f"this is the layout of MVTec AD: give {images} with --masks {masks}; images without "
                "a mask, such as those in 'good', are named as left out"
            )
    tree = MaskTree.beside(path)
    return None if tree is None else f"the masks are in {tree.masks}: give --masks {tree.masks}, or the folder above"
