"""One region by its name: `part.jpg#2` for a mask's region, `boxes.csv#7` for an entry of a label file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.images.image_files import is_folder, is_regular_file
from mvrec_edge.runtime.regions.annotation import MaskFileShape
from mvrec_edge.runtime.regions.region import Region
from mvrec_edge.runtime.regions.source import RegionSource, SourceImage

__all__ = ["RegionName", "name_region", "parse_region_name"]

_NAME = re.compile(r"(.+)#(\d{1,9})", re.DOTALL)


@dataclass(frozen=True)
class RegionName:
    """What names a region among all that can be opened.

    Attributes:
        place: An image, or a label file.
        number: Of the image's mask, the region; of a label file, the entry; both from 0.
        mask: The image's mask where it is in another folder than the image, so that it has to be given as well.
    """

    place: Path
    number: int
    mask: Path | None = None

    def __str__(self) -> str:
        return f"{self.place}#{self.number}"

    @property
    def of_image(self) -> bool:
        """Whether an image is named, and not a label file."""
        return self.place.suffix.lower() in IMAGE_SUFFIXES

    def is_of(self, region: Region) -> bool:
        """Whether a region of the named place has the number."""
        return region.source is not None and region.source.rpartition("#")[2] == str(self.number)


def parse_region_name(path: Path) -> RegionName | None:
    """Reads the name of a region; None where something of this very path is there, or the path names none."""
    found = _NAME.fullmatch(str(path))
    if found is None or is_folder(path) or is_regular_file(path):
        return None
    place = Path(found[1])
    return RegionName(place, int(found[2])) if is_regular_file(place) else None


def name_region(source: RegionSource, image: SourceImage, region: Region) -> RegionName | None:
    """The name by which a region can be opened again alone; None where it comes from elsewhere.

    Args:
        source: What was opened.
        image: One of its images.
        region: A region of this image.
    """
    file, _, number = (region.source or "").rpartition("#")
    if not number.isdecimal():
        return None
    by_source = {annotation.source: annotation for annotation in image.annotations}
    # A mask's source is its file, that of another annotation is its own.
    annotation = by_source.get(region.source or "", by_source.get(file))
    if annotation is None:
        return None
    if isinstance(annotation.shape, MaskFileShape):
        mask = annotation.shape.path
        return RegionName(image.path, int(number), None if mask.parent == image.path.parent else mask)
    # A table names its entries by its own name; a folder of label files names them by each file's path within.
    for place in (source.path, source.path / file):
        if place.name == Path(file).name and is_regular_file(place):
            return RegionName(place, int(number))
    return RegionName(image.path, int(number))
