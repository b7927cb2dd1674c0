"""From a labelled set to a support cache."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mvrec_edge.calib.sampling import sample_shots
from mvrec_edge.runtime.classifier import check_view_size, warn_if_random
from mvrec_edge.runtime.encoding import ImageRegions, encode_images
from mvrec_edge.runtime.engines import Engine
from mvrec_edge.runtime.errors import AnnotationError, InputError, SupportError, UsageError
from mvrec_edge.runtime.images import read_image
from mvrec_edge.runtime.regions import Region, RegionSource
from mvrec_edge.runtime.support_cache import HeadSettings, SupportCache
from mvrec_edge.runtime.views import ViewPlan

__all__ = [
    "REGION_INPUTS",
    "LabelledRegion",
    "SupportSet",
    "draw_shots",
    "encode_support",
    "group_by_image",
    "read_support",
    "with_region_input",
]


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
    source: RegionSource, *, min_area: int | None = None, progress: Callable[[int], None] | None = None
) -> SupportSet:
    """Reads every labelled region of a source; pixels are looked at, but not kept.

    Args:
        source: What `open_source` returned.
        min_area: Smallest connected component of a mask, in pixels; by default the readers' own.
        progress: Called with 1 after each image.

    Returns:
        The instances in the order of the annotations, and what was not usable.
    """
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
                if region.label is None:
                    problems.append(
                        AnnotationError("has no label", where=region.source, fix="label it, or leave it out")
                    )
                else:
                    found.append((order, LabelledRegion(item.path, region, region.label)))
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
    check_view_size(engine, plan)
    warn_if_random(engine.random_weights)
    embeddings = np.empty((len(instances), plan.count, engine.embedding_dim), np.float32)
    items = (
        ImageRegions(places, read_image(path), [instances[place].region for place in places])
        for path, places in group_by_image(instances).items()
    )
    for encoded in encode_images(engine, plan, items, progress):
        embeddings[encoded.item.key] = encoded.embeddings
    return SupportCache.from_embeddings(
        embeddings,
        [class_names.index(instance.label) for instance in instances],
        class_names,
        sources=[instance.source for instance in instances],
        view_plan=plan,
        encoder=engine.fingerprint,
        encoder_name=encoder_name,
        random_weights=engine.random_weights,
        head=head,
        shots=shots,
        seed=seed,
    )


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
