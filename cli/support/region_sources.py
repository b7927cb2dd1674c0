"""`support add part.jpg#2`: one region of an image, or one entry of a label file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from mvrec_edge.calib import LabelledSet, read_labelled
from mvrec_edge.calib.instances.kept_images import KeptImages
from mvrec_edge.cli.console import say_problems, say_warnings
from mvrec_edge.cli.options import LabelledOptions
from mvrec_edge.cli.part_options import PartOptions
from mvrec_edge.runtime.errors import InputError, UsageError
from mvrec_edge.runtime.regions import RegionSource
from mvrec_edge.runtime.regions.annotation import MaskFileShape
from mvrec_edge.runtime.regions.region_names import RegionName, parse_region_name
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.wording import counted

__all__ = ["read_source"]


def read_source(
    reading: LabelledOptions,
    place: Path,
    cache: SupportCache,
    showing: PartOptions,
    *,
    label: str | None,
    images: KeptImages,
) -> LabelledSet:
    """Reads labelled regions at a place, or the one region that it names.

    Args:
        reading: How.
        place: A labelled set, or the name of a region: `part.jpg#2`, `boxes.csv#7`.
        cache: The cache that they are for, which says what the encoder is told of them, and which views are cut.
        showing: Which part they show.
        label: The class of every region; by default what its annotation says.
        images: Where pixels are kept for encoding.

    Raises:
        InputError: It cannot be read, or there is no such region.
    """
    name = parse_region_name(place)
    if name is None:
        told = cache.region_input
        return showing.read(reading, place, label=label, region_input=told, images=images, plan=cache.view_plan)
    if showing.part_from is not None:
        raise UsageError("--part-from reads the parts of a whole set", where=place, fix="give --part NAME")
    source = _narrowed(_open(reading, name, cache.region_input), name)
    labelled = read_labelled(source, min_area=reading.min_area, label=label, images=images, plan=cache.view_plan)
    one = labelled.with_instances(each for each in labelled.instances if name.is_of(each.region))
    if showing.part is not None:
        one = one.with_part(showing.part)
    if not one.instances:
        problem = next(iter(labelled.problems), None)
        if problem is not None:
            raise problem
        raise InputError(
            f"there is no region {name.number}: the image has {counted(len(labelled.instances), 'region')}, from 0 on"
            if labelled.instances
            else f"there is no entry {name.number} for a region",
            where=name.place,
            fix="give the name that the record of the region has, in 'region'",
        )
    say_problems(one.problems)
    say_warnings(one.warnings)
    return one


def _open(reading: LabelledOptions, name: RegionName, region_input: str | None) -> RegionSource:
    """Opens what a name names; an image without a mask may be marked by a label file in its folder."""
    try:
        return reading.open(name.place, region_input=region_input)
    except InputError:
        if not name.of_image:
            raise
        try:
            around = reading.open(name.place.parent)
        except InputError:
            around = None
        if around is None or not _of_image(around, name):
            raise
        return around


def _of_image(source: RegionSource, name: RegionName) -> list[int]:
    """Places of the named image among those of a source."""
    wanted = name.place.resolve()
    return [place for place, image in enumerate(source.images) if image.path.resolve() == wanted]


def _narrowed(source: RegionSource, name: RegionName) -> RegionSource:
    """What of a source can hold the named region, so that no other image is decoded and no other problem said."""
    images = [source.images[place] for place in _of_image(source, name)] if name.of_image else list(source.images)
    kept = []
    for image in images:
        annotations = tuple(
            each
            for each in image.annotations
            if isinstance(each.shape, MaskFileShape) or each.source.rpartition("#")[2] == str(name.number)
        )
        if annotations:
            kept.append(dataclasses.replace(image, annotations=annotations))
    return dataclasses.replace(source, images=tuple(kept), problems=())
