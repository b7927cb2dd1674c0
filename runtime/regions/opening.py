"""Opening a source of regions: which format it is, and the reader for it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mvrec_edge.runtime.errors import InputError, UsageError
from mvrec_edge.runtime.images.image_files import is_folder, is_regular_file, why_no_file
from mvrec_edge.runtime.images.reading import check_damaged
from mvrec_edge.runtime.regions.formats.aitex import open_aitex
from mvrec_edge.runtime.regions.formats.boxes import open_boxes
from mvrec_edge.runtime.regions.formats.coco import open_coco
from mvrec_edge.runtime.regions.formats.folders import open_folders
from mvrec_edge.runtime.regions.formats.labelme import open_labelme
from mvrec_edge.runtime.regions.formats.mvtec_fs import open_mvtec_fs
from mvrec_edge.runtime.regions.formats.not_read import AS_ONE_MASK_EACH, known_format, known_layout
from mvrec_edge.runtime.regions.formats.voc import open_voc
from mvrec_edge.runtime.regions.formats.yolo import open_yolo
from mvrec_edge.runtime.regions.joining import join_sources, refuse_copies
from mvrec_edge.runtime.regions.listing import looking
from mvrec_edge.runtime.regions.own_output import own_output
from mvrec_edge.runtime.regions.part_sources import with_wanted_parts
from mvrec_edge.runtime.regions.recognition import Recognised, label_files_of, recognise
from mvrec_edge.runtime.regions.source import RegionSource, named
from mvrec_edge.runtime.regions.unlabelled import unlabelled_images
from mvrec_edge.runtime.regions.unread import losses, unread_files

__all__ = ["EMPTY", "SOURCE_FORMATS", "check_format", "open_source"]

SOURCE_FORMATS = ("folders", "labelme", "coco", "voc", "yolo", "mvtec-fs", "boxes", "aitex")

_ONE_LABEL_FILE = ("coco", "mvtec-fs", "boxes")
#: What an image without a defect may be taken for.
EMPTY = ("skip", "error")


def open_source(
    path: str | os.PathLike[str],
    *,
    format: str = "auto",  # noqa: A002
    masks: str | os.PathLike[str] | None = None,
    image_root: str | os.PathLike[str] | None = None,
    whole_images: bool = False,
    empty: str = "skip",
    damaged: str = "refuse",
    leave_out: Iterable[Path] = (),
    with_parts: bool = False,
) -> RegionSource:
    """Opens labelled images; label files are read and folders listed, but no pixel is decoded.

    What mvrec-edge wrote itself, such as the results of `classify`, is never read: it holds predictions.

    Args:
        path: A folder, a label file or an image.
        format: One of `SOURCE_FORMATS`, or `"auto"` to look at what is there.
        masks: For `"folders"`: the folder of the masks, or the mask of one image.
        image_root: For the other formats: the folder of the images that the label file names.
        whole_images: For `"folders"`: where no image has a mask, each image is a cut-out defect, one region.
        empty: What an image without a defect is (an empty mask, no annotation): `"skip"`, a part without regions;
            `"error"`, a problem.
        damaged: What a damaged image is: `"refuse"`, a problem; `"warn"`, used as far as it can be (see `read_image`).
        leave_out: Files that are about to be written, and folders into which pictures are: neither they nor JPEG files
            in these folders are read, but where `path` is such a place itself.
        with_parts: Whether a column `part` of a table of boxes says which part each image shows; else that column is
            not looked at.

    Returns:
        The source; what costs only one item is in its `problems`.

    Raises:
        UsageError: The format, `empty` or `damaged` has no such name, or `masks` or `image_root` does not go with it.
        InputError: Nothing there is usable, or parts are wanted and no table has any.
    """
    place = Path(path)
    mask_place = None if masks is None else Path(masks)
    root = None if image_root is None else Path(image_root)
    check_format(format)
    if empty not in EMPTY:
        raise UsageError(f"an image without a defect cannot be taken for '{empty}'", fix="one of " + ", ".join(EMPTY))
    check_damaged(damaged)
    if mask_place is not None and root is not None:
        raise UsageError("masks go with images, an image root goes with label files", fix="give one of the two")
    if not is_folder(place) and not is_regular_file(place):
        raise InputError(why_no_file(place, "there is no such file or folder"), where=place, fix="check the path")
    if is_regular_file(place) and (kind := own_output(place)) is not None:
        raise InputError(
            f"is {kind}, written by mvrec-edge, and not read: what stands in it is no annotation",
            where=place,
            fix="give the images with the masks or labels that were classified",
        )
    whole = place.resolve()
    with looking(path for path in leave_out if path.resolve() not in (whole, whole.parent)) as look:
        try:
            recognised = _recognise(place, format, mask_place, whole_images=whole_images)
            _check_options(recognised.format, place, mask_place, root)
            source = _open(recognised, place, mask_place, root, whole_images=whole_images)
            if is_folder(place) and mask_place is None and recognised.format != "aitex":
                source = _with_unread(source, place, recognised, root, chosen=format != "auto")
                source = _with_unlabelled(source, place, root, needs_defect=empty == "error")
        except InputError as error:
            if not look.own:
                raise
            left_out = f"{error.what}; left out as output of mvrec-edge: {named(sorted(look.own))}"
            raise type(error)(left_out, where=error.where, fix=error.fix) from error
    source = with_wanted_parts(source, wanted=with_parts)
    if len(recognised.label_files) > 1:
        refuse_copies(source)
    images = source.images
    if empty == "error":
        images = tuple(dataclasses.replace(image, needs_defect=True) for image in images)
    if damaged != "refuse":
        images = tuple(dataclasses.replace(image, damaged=damaged) for image in images)
    return dataclasses.replace(
        source,
        images=images,
        problems=(*source.problems, *recognised.problems, *look.problems.values()),
        warnings=(*source.warnings, *recognised.warnings, *look.warnings.values()),
        left_out=tuple(sorted(look.own)),
        masks_unread=recognised.masks_unread,
    )


def _check_options(format: str, place: Path, masks: Path | None, root: Path | None) -> None:  # noqa: A002
    if masks is not None and format != "folders":
        raise UsageError(f"masks do not go with the annotation format {format}", where=place, fix="leave them out")
    if root is not None and format in ("folders", "aitex"):
        raise UsageError("an image root does not go with folders of images", where=place, fix="leave it out")


def check_format(name: str) -> None:
    """Raises `UsageError` where there is no annotation format of this name."""
    if name != "auto" and name not in SOURCE_FORMATS:
        raise UsageError(f"there is no annotation format '{name}'", fix=f"use auto, {', '.join(SOURCE_FORMATS)}")


def _recognise(place: Path, format: str, masks: Path | None, *, whole_images: bool) -> Recognised:  # noqa: A002
    """What is to be opened: of the format that was named, or of the one that is found."""
    if format == "auto":
        return recognise(place, whole_images=whole_images) if masks is None else Recognised("folders")
    if format in _ONE_LABEL_FILE:
        return label_files_of(place, format) if is_folder(place) else Recognised(format, (place,))
    return Recognised(format)


def _open(found: Recognised, place: Path, masks: Path | None, root: Path | None, *, whole_images: bool) -> RegionSource:
    """Opens what is of a known format."""
    if found.format == "folders":
        try:
            return open_folders(place, masks, whole_images=whole_images)
        except InputError as error:
            layout = known_layout(place)
            if layout is not None:
                raise InputError(f"holds {layout}, which are not read", where=place, fix=AS_ONE_MASK_EACH) from error
            if not found.foreign:
                raise
            known = (f"{file.name} is {kind}" for file in found.foreign if (kind := known_format(file)) is not None)
            unread = next(known, f"of no known annotation format: {named(found.foreign)}")
            what = f"{error.what}; {unread}"
            raise InputError(what, where=error.where, fix=error.fix) from error
    if found.format == "labelme":
        return open_labelme(place, root, found.first)
    if found.format == "aitex":
        return open_aitex(place)
    if found.format == "voc":
        return open_voc(place, root)
    if found.format == "yolo":
        return open_yolo(place, root)
    return _open_label_files(found, place, root)


def _with_unread(
    source: RegionSource, folder: Path, found: Recognised, root: Path | None, *, chosen: bool
) -> RegionSource:
    """The source with the label files of the folder that are not read; a format that was chosen costs nothing."""
    unread, broken = unread_files(folder, found)
    source = dataclasses.replace(source, unread=tuple((kind, tuple(files)) for kind, files in unread.items()))
    if chosen:
        return source

    def open_files(kind: str, files: Sequence[Path]) -> RegionSource:
        several = tuple(files) if kind in _ONE_LABEL_FILE else ()
        return _open(Recognised(kind, several), folder, None, root, whole_images=False)

    problems, warnings = losses(folder, source, unread, open_files)
    return dataclasses.replace(
        source,
        problems=(*source.problems, *broken, *problems),
        warnings=(*source.warnings, *warnings),
    )


def _with_unlabelled(source: RegionSource, folder: Path, root: Path | None, *, needs_defect: bool) -> RegionSource:
    """The source, and what is to be said of the images that no label file is about."""
    problems, warnings = unlabelled_images(folder, root, source, needs_defect=needs_defect)
    return dataclasses.replace(source, problems=(*source.problems, *problems), warnings=(*source.warnings, *warnings))


def _open_label_files(found: Recognised, place: Path, root: Path | None) -> RegionSource:
    """Opens one label file, or all of a folder; a file of several that cannot be used costs only itself."""
    opened: list[RegionSource] = []
    problems: list[InputError] = []
    payloads = found.payloads or (None,) * len(found.label_files)
    for file, payload in zip(found.label_files, payloads, strict=True):
        try:
            opened.append(_open_label_file(found.format, file, root, payload))
        except InputError as error:
            problems.append(error)
    if not opened:
        raise problems[0]
    source = opened[0] if len(found.label_files) == 1 else join_sources(place, opened)
    files = tuple(each.path for each in opened)
    return dataclasses.replace(source, problems=(*source.problems, *problems), label_files=files)


def _open_label_file(format: str, file: Path, root: Path | None, payload: Any) -> RegionSource:  # noqa: A002
    if format == "coco":
        return open_coco(file, root, payload)
    return (open_mvtec_fs if format == "mvtec-fs" else open_boxes)(file, root)
