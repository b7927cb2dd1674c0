"""AITEX: fabric images in `Defect_images`, their masks in `Mask_images`, the class in the file name."""

from __future__ import annotations

import re
from pathlib import Path

from mvrec_edge.runtime.errors import AnnotationError, InputError
from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.regions.annotation import Annotation, MaskFileShape
from mvrec_edge.runtime.regions.listing import list_files
from mvrec_edge.runtime.regions.source import RegionSource, SourceBuilder

__all__ = ["is_aitex", "open_aitex"]

_FORMAT = "aitex"
_IMAGES, _MASKS = "Defect_images", "Mask_images"
#: What the codes mean, as the description of the data set says.
_NAMES = {
    "002": "Broken end",
    "006": "Broken yarn",
    "010": "Broken pick",
    "016": "Weft curling",
    "019": "Fuzzyball",
    "022": "Cut selvage",
    "023": "Crease",
    "025": "Warp ball",
    "027": "Knots",
    "029": "Contamination",
    "030": "Nep",
    "036": "Weft crack",
}
_NO_DEFECT = "000"
# Number of the image, code of the defect, code of the fabric: 0001_002_00.
_NAME = re.compile(r"(\d+)_(\d+)_(\d+)")


def is_aitex(folder: Path) -> bool:
    """Whether a folder has the two folders of this data set."""
    return (folder / _IMAGES).is_dir() and (folder / _MASKS).is_dir()


def open_aitex(path: Path) -> RegionSource:
    """Opens the AITEX fabric data set.

    The class of an image is what the defect code in its name means, such as `Broken end` for `002` of
    `0001_002_00.png`; a code that the data set does not describe is the class itself. The masks are
    `0001_002_00_mask.png`, or several as `0001_002_00_mask1.png` and `..._mask2.png`; every connected component is a
    region. An image of the code `000` has no defect; those in `NODefect_images` are left out.

    Args:
        path: The folder that holds `Defect_images` and `Mask_images`.

    Returns:
        The source.

    Raises:
        InputError: The folders are not there, or no image has a mask.
    """
    if not is_aitex(path):
        raise InputError(f"has no folders {_IMAGES} and {_MASKS}", where=path, fix="give the folder that holds both")
    masks: dict[str, list[Path]] = {}
    for mask in list_files(path / _MASKS, IMAGE_SUFFIXES):
        owner = re.sub(r"_mask\d*$", "", mask.stem)
        masks.setdefault(owner, []).append(mask)
    builder = SourceBuilder(path, _FORMAT)
    index = 0
    for image in list_files(path / _IMAGES, IMAGE_SUFFIXES):
        name = _NAME.fullmatch(image.stem)
        if name is None:
            builder.problem(
                AnnotationError("the name holds no defect code", where=image, fix="name it like 0001_002_00.png")
            )
            continue
        image_id = image.relative_to(path).as_posix()
        if name[2] == _NO_DEFECT:
            builder.add_image(image_id, image)
            continue
        if image.stem not in masks:
            builder.problem(
                AnnotationError(f"the image has no mask in {_MASKS}", where=image, fix=f"add {image.stem}_mask.png")
            )
            continue
        for mask in masks[image.stem]:
            source = mask.relative_to(path).as_posix()
            annotation = Annotation(MaskFileShape(mask), _NAMES.get(name[2], name[2]), source, index)
            builder.add(image_id, image, annotation)
            index += 1
    return builder.build("there is no image with a mask", f"put the masks into {_MASKS}")
