"""One region by its name: `part.jpg#2` for a mask's region, `boxes.csv#7` for an entry of a label file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mvrec_edge.runtime.images import IMAGE_SUFFIXES
from mvrec_edge.runtime.images.image_files import is_folder, is_regular_file
from mvrec_edge.runtime.regions.annotation import MaskFileShape
from mvrec_edge.runtime.regions.region import Region
from mvrec_edge.runtime.regions.source import RegionSource, SourceImage

__all__ = ["RegionName", "label_file", "name_regions", "parse_region_name"]

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


def name_regions(source: RegionSource, image: SourceImage, regions: Iterable[Region]) -> list[RegionName | None]:
    """The names by which regions can be opened again alone; None for one that comes from elsewhere.

    Args:
        source: What was opened.
        image: One of its images.
        regions: Regions of this image.
    """
    by_source = {annotation.source: annotation for annotation in image.annotations}
    label_files: dict[str, Path | None] = {}
    names: list[RegionName | None] = []
    for region in regions:
        file, _, number = (region.source or "").rpartition("#")
        # A mask's source is its file, that of another annotation is its own.
        annotation = by_source.get(region.source or "", by_source.get(file))
        if annotation is None or not number.isdecimal():
            names.append(None)
        elif isinstance(annotation.shape, MaskFileShape):
            mask = annotation.shape.path
            names.append(RegionName(image.path, int(number), None if mask.parent == image.path.parent else mask))
        else:
            if file not in label_files:
                label_files[file] = label_file(source, file)
            names.append(RegionName(label_files[file] or image.path, int(number)))
    return names


def label_file(source: RegionSource, name: str) -> Path | None:
    """The label file that a region's source names, where it is one."""
    # A table names its entries by its own name; a folder of label files names them by each file's path within.
    places = (place for place in (source.path, source.path / name) if place.name == Path(name).name)
    return next((place for place in places if is_regular_file(place)), None)
