"""From a labelled set to a support cache."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.encoded import EncodedInstances
from mvrec_edge.calib.sampling import sample_shots
from mvrec_edge.runtime.classifier import check_view_size, warn_if_random
from mvrec_edge.runtime.engines import Engine
from mvrec_edge.runtime.engines.encoding import ImageRegions, encode_images
from mvrec_edge.runtime.errors import AnnotationError, InputError, SupportError, UsageError
from mvrec_edge.runtime.images import read_image
from mvrec_edge.runtime.pictures.region_picture import THUMBNAIL_SIDE, region_picture
from mvrec_edge.runtime.regions import Region, RegionSource
from mvrec_edge.runtime.support.cache import INSTANCE_FIELDS, HeadSettings, SupportCache, float16_embeddings
from mvrec_edge.runtime.support.thumbnails import LARGEST_THUMBNAIL, LARGEST_THUMBNAILS
from mvrec_edge.runtime.views import ViewPlan

__all__ = [
    "REGION_INPUTS",
    "LabelledRegion",
    "SupportSet",
    "draw_shots",
    "encode_instances",
    "encode_support",
    "group_by_image",
    "read_support",
    "read_thumbnails",
    "with_region_input",
]


#: What to do about a region without a label, by whether folders name the classes.
_HOW_TO_LABEL = {
    True: "folders name the classes: put it into a folder of its class, and give the folder above",
    False: "label it, or leave it out",
}

#: What the encoder may be told about a region.
REGION_INPUTS = ("mask", "box", "full")


@dataclass(frozen=True)
class LabelledRegion:
    """One support instance before it is encoded.

    Attributes:
        image: The image's path.
        region: The region; it has a label.
        label: That label.
    """

    image: Path
    region: Region
    label: str

    @property
    def source(self) -> str:
        """Where it was read from, as a support cache records it."""
        return self.region.source or self.image.name


@dataclass(frozen=True)
class SupportSet:
    """What a labelled set held.

    Attributes:
        instances: The usable instances, in the order of the annotations.
        problems: What was not usable, one error each; the rest goes on without it.
    """

    instances: tuple[LabelledRegion, ...]
    problems: tuple[InputError, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of their first appearance."""
        return tuple(dict.fromkeys(instance.label for instance in self.instances))


def read_support(
    source: RegionSource,
    *,
    min_area: int | None = None,
    label: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> SupportSet:
    """Reads every labelled region of a source; pixels are looked at, but not kept.

    Args:
        source: What `open_source` returned.
        min_area: Smallest connected component of a mask, in pixels; by default the readers' own.
        label: The class of every region, whatever its annotation says; by default what that says.
        progress: Called with 1 after each image.

    Returns:
        The instances in the order of the annotations, and what was not usable.
    """
    inside = source.format == "folders"
    found: list[tuple[int, LabelledRegion]] = []
    problems: list[InputError] = list(source.problems)
    for item in source:
        try:
            reading = item.regions(read_image(item.path).shape[:2], min_area)
        except InputError as error:
            problems.append(error)
        else:
            problems.extend(reading.problems)
            for order, region in reading.indexed:
                named = label or region.label
                if named is None:
                    problems.append(AnnotationError("has no label", where=region.source, fix=_HOW_TO_LABEL[inside]))
                else:
                    found.append((order, LabelledRegion(item.path, region, named)))
        if progress is not None:
            progress(1)
    # A table may list the instances of one image apart; its own order is the one that shots are drawn from.
    found.sort(key=lambda pair: pair[0])
    return SupportSet(tuple(instance for _, instance in found), tuple(problems))


def draw_shots(support: SupportSet, shots: int, seed: int) -> tuple[list[LabelledRegion], list[str]]:
    """Draws a few instances of each class by the released protocol (see `sample_shots`).

    Args:
        support: The labelled set.
        shots: Instances for each class, at least 1.
        seed: Seed of the draw.

    Returns:
        The instances drawn, and the names of the classes that had fewer than `shots`.
    """
    labels = [instance.label for instance in support.instances]
    drawn = [support.instances[index] for index in sample_shots(labels, shots, seed)]
    return drawn, [name for name, count in Counter(labels).items() if count < shots]


def encode_support(
    engine: Engine,
    instances: Sequence[LabelledRegion],
    *,
    plan: ViewPlan | None = None,
    head: HeadSettings | None = None,
    encoder_name: str = "",
    shots: int | None = None,
    seed: int | None = None,
    pictures: bool = True,
    progress: Callable[[int], None] | None = None,
) -> SupportCache:
    """Encodes support instances into a cache.

    Args:
        engine: The engine that will also classify.
        instances: The support instances; their order decides the order of the classes.
        plan: The views to cut; by default `ViewPlan.mso` at the engine's size.
        head: The head and its parameters.
        encoder_name: The encoder in words, for the record.
        shots: Instances drawn for each class, for the record.
        seed: Seed of the draw, for the record.
        pictures: Whether the cache keeps a small picture of each instance, for reports.
        progress: Called with the number of views after each batch.

    Returns:
        The support cache.

    Raises:
        SupportError: There are fewer than two classes.
        ImageError: An image cannot be read any more.
    """
    class_names = tuple(dict.fromkeys(instance.label for instance in instances))
    # Asked before the encoder runs, which may take minutes.
    if len(class_names) < 2:
        raise SupportError(
            f"there is {'only one class, ' + repr(class_names[0]) if class_names else 'no labelled instance'}: "
            "a classifier needs at least two classes",
            fix="add labelled samples of another class",
        )
    plan = plan or ViewPlan.mso(size=engine.image_size)
    encoded = encode_instances(engine, instances, plan, progress, pictures=pictures)
    rows: dict[str, Any] = {name: getattr(encoded, name) for name in INSTANCE_FIELDS}
    rows["labels"] = [class_names.index(label) for label in encoded.labels]
    return SupportCache.from_embeddings(
        **rows,
        class_names=class_names,
        view_plan=plan,
        encoder=engine.fingerprint,
        encoder_name=encoder_name,
        random_weights=engine.random_weights,
        head=head,
        shots=shots,
        seed=seed,
    )


def encode_instances(
    engine: Engine,
    instances: Sequence[LabelledRegion],
    plan: ViewPlan,
    progress: Callable[[int], None] | None = None,
    *,
    class_names: Sequence[str] | None = None,
    pictures: bool = True,
) -> EncodedInstances:
    """Encodes labelled regions, for a new cache or for one that is there.

    Args:
        engine: The engine that will also classify.
        instances: The instances; there may be any number of classes.
        plan: The views to cut.
        progress: Called with the number of views after each batch.
        class_names: The classes whose order decides the colours of the thumbnails; by default the instances' own.
        pictures: Whether to make a small picture of each instance, for reports.

    Raises:
        ImageError: An image cannot be read any more.
        SupportError: An embedding cannot be stored as float16.
        UsageError: The plan's view size is not the engine's.
    """
    check_view_size(engine, plan)
    warn_if_random(engine.random_weights)
    embeddings = np.empty((len(instances), plan.count, engine.embedding_dim), np.float32)
    items = (
        ImageRegions(places, read_image(path), [instances[place].region for place in places])
        for path, places in group_by_image(instances).items()
    )
    own = dict.fromkeys(instance.label for instance in instances)
    thumbnails = _Thumbnails(instances, tuple(dict.fromkeys((*(class_names or ()), *own))))
    for encoded in encode_images(engine, plan, items, progress):
        embeddings[encoded.item.key] = encoded.embeddings
        if pictures:
            thumbnails.draw(encoded.item.image, encoded.item.key)
    return EncodedInstances(
        embeddings=float16_embeddings(embeddings),
        labels=tuple(instance.label for instance in instances),
        sources=tuple(instance.source for instance in instances),
        thumbnails=tuple(thumbnails.pictures),
    )


def read_thumbnails(instances: Sequence[LabelledRegion], class_names: Sequence[str]) -> list[bytes]:
    """Reads the images of instances again and makes the pictures that a support cache keeps of them.

    Args:
        instances: The instances.
        class_names: All classes, for the colours of the outlines.

    Returns:
        A JPEG file of each instance, empty beyond what a cache may hold.

    Raises:
        ImageError: An image cannot be read any more.
    """
    thumbnails = _Thumbnails(instances, class_names)
    for path, places in group_by_image(instances).items():
        thumbnails.draw(read_image(path), places)
    return thumbnails.pictures


class _Thumbnails:
    """Pictures of support instances for reports, as many as a cache may hold."""

    def __init__(self, instances: Sequence[LabelledRegion], class_names: Sequence[str]) -> None:
        self._instances = instances
        self._class_names = class_names
        self._room = LARGEST_THUMBNAILS
        self.pictures = [b""] * len(instances)

    def draw(self, image: npt.NDArray[np.uint8], places: Sequence[int]) -> None:
        for place in places:
            if self._room < LARGEST_THUMBNAIL:
                return
            instance = self._instances[place]
            picture = region_picture(image, instance.region, instance.label, self._class_names, side=THUMBNAIL_SIDE)
            if len(picture) <= LARGEST_THUMBNAIL:
                self.pictures[place] = picture
                self._room -= len(picture)


def with_region_input(instances: Sequence[LabelledRegion], kind: str) -> list[LabelledRegion]:
    """Changes what the encoder is told about each region; the windows stay where they are.

    Args:
        instances: The instances.
        kind: `"mask"` leaves them as they are, `"box"` takes the filled box for the mask, `"full"` the whole image,
            which is no mask at all (the paper's "Wo.M").

    Raises:
        UsageError: There is no such kind.
    """
    if kind not in REGION_INPUTS:
        raise UsageError(f"there is no region input '{kind}'", fix="one of " + ", ".join(REGION_INPUTS))
    if kind == "mask":
        return list(instances)
    changed = []
    for instance in instances:
        region = instance.region
        if kind == "box":
            plain = Region.from_box(region.box, region.image_size, region.label, region.source)
        else:
            plain = Region(np.ones(region.image_size, np.bool_), region.box, region.label, region.source)
        changed.append(dataclasses.replace(instance, region=plain))
    return changed


def group_by_image(instances: Sequence[LabelledRegion]) -> dict[Path, list[int]]:
    """Groups instances by image, so that each image is decoded once; the values are places in `instances`."""
    places: dict[Path, list[int]] = {}
    for index, instance in enumerate(instances):
        places.setdefault(instance.image, []).append(index)
    return places
