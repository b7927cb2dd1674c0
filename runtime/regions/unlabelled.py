"""Images of a folder that no label file is about."""

from __future__ import annotations

from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError, InputError, InputWarning
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.regions.formats.folders import mask_files
from mvrec_edge.runtime.regions.listing import list_files
from mvrec_edge.runtime.regions.source import RegionSource
from mvrec_edge.runtime.wording import counted

__all__ = ["unlabelled_images"]

# Where images without a mask are problems already, or without a label file parts without a defect.
_SAID_BY_READER = ("folders", "aitex", "yolo")
_SEGMENTATION = "segmentation"
_FIX = "see whether labels are missing"


def unlabelled_images(
    folder: Path, image_root: Path | None, source: RegionSource, *, needs_defect: bool
) -> tuple[list[InputError], list[InputWarning]]:
    """What is to be said of the images that no label file is about: they are not looked at.

    Args:
        folder: The folder that was opened.
        image_root: Where its images are, if not there.
        source: What was read of it.
        needs_defect: Whether an image without a defect is a problem.

    Returns:
        A problem or a warning that counts them and names the first; nothing where each has a label. Masks are no such
        images, nor is one whose label file is a problem already.
    """
    if source.format in _SAID_BY_READER:
        return [], []
    place = image_root or folder
    files = list_files(place, IMAGE_SUFFIXES)
    known = {image.path.resolve() for image in source}
    broken = {Path(str(problem.where)).stem for problem in source.problems}
    rest = [file for file in files if file.resolve() not in known and file.stem not in broken]
    masks = mask_files(place, files) if rest else set()
    left = [file for file in rest if file not in masks and not _is_segmentation(file.relative_to(place))]
    if not left:
        return [], []
    have = "has no annotation and is" if len(left) == 1 else "have no annotation and are"
    what = f"{counted(len(left), 'image')} {have} not looked at"
    if needs_defect:
        return [AnnotationError(what, where=left[0], fix="annotate or leave out, or give --empty skip")], []
    return [], [InputWarning(what, str(left[0]), _FIX)]


def _is_segmentation(inside: Path) -> bool:
    """Whether an image lies among the masks that VOC sets have beside their boxes, `SegmentationClass` and others."""
    return any(part.lower().startswith(_SEGMENTATION) for part in inside.parts[:-1])
