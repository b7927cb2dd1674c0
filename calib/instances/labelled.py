"""Labelled regions, read from their annotations: what is calibrated with and evaluated on."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mvrec_edge.calib.instances.kept_images import KeptImages
from mvrec_edge.calib.instances.sampling import sample_shots
from mvrec_edge.runtime.errors import AnnotationError, DamageWarning, InputError, InputWarning, SupportError
from mvrec_edge.runtime.images.missing import missing_of
from mvrec_edge.runtime.regions import Region, RegionSource
from mvrec_edge.runtime.regions.kinds import common_kind
from mvrec_edge.runtime.views import ViewPlan, with_windows

__all__ = ["LabelledRegion", "LabelledSet", "read_labelled"]


#: What to do about a region without a label, by whether folders name the classes.
_HOW_TO_LABEL = {
    True: "folders name the classes: put it into a folder of its class, and give the folder above",
    False: "label it, or leave it out",
}


@dataclass(frozen=True)
class LabelledRegion:
    """One labelled instance before it is encoded.

    Attributes:
        image: The image's path.
        region: The region.
        label: Its class, which may be another than the annotation said.
    """

    image: Path
    region: Region
    label: str

    @property
    def source(self) -> str:
        """Where it was read from, as a support cache records it."""
        return self.region.source or self.image.name


@dataclass(frozen=True)
class LabelledSet:
    """Labelled instances, and the pixels of their images as far as they are kept.

    Attributes:
        instances: The usable instances, in the order of the annotations.
        problems: What was not usable, one error each; the rest goes on without it.
        warnings: What is odd about annotations and images that were used.
        without_defect: How many images show no defect; each was read, and gave neither an instance nor a problem.
        damaged: The images that are damaged and used all the same.
        images: Where the pixels of the instances' images come from.
    """

    instances: tuple[LabelledRegion, ...]
    problems: tuple[InputError, ...] = ()
    warnings: tuple[InputWarning, ...] = ()
    without_defect: int = 0
    damaged: frozenset[Path] = frozenset()
    images: KeptImages = field(default_factory=KeptImages, repr=False, compare=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of their first appearance."""
        return tuple(self.counts)

    @property
    def counts(self) -> dict[str, int]:
        """Instances of each class, in the order of the classes."""
        return dict(Counter(instance.label for instance in self.instances))

    @property
    def region_input(self) -> str:
        """What the regions are: outlines (`"mask"`), boxes (`"box"`), whole images (`"full"`), or `"mixed"`."""
        return common_kind(instance.region for instance in self.instances)

    @property
    def places_by_image(self) -> dict[Path, list[int]]:
        """Places in `instances`, grouped by image in the order of first appearance."""
        places: dict[Path, list[int]] = {}
        for place, instance in enumerate(self.instances):
            places.setdefault(instance.image, []).append(place)
        return places

    @property
    def part_names(self) -> tuple[str, ...]:
        """The parts, in the order of their first appearance; none where no instance is of one."""
        return tuple(dict.fromkeys(each.region.part for each in self.instances if each.region.part is not None))

    def by_part(self) -> dict[str, LabelledSet]:
        """The instances of each part, as they would be without the others; nothing where no instance is of a part.

        Problems, warnings and counts of images stay with the whole set.

        Raises:
            SupportError: Some instances are of a part and others of none.
        """
        if not self.part_names:
            return {}
        loose = next((each for each in self.instances if each.region.part is None), None)
        if loose is not None:
            raise SupportError(
                "is of no part, and other instances are of one", where=loose.source, fix="say which part it is of"
            )
        return {name: self.of_part(name) for name in self.part_names}

    def of_part(self, name: str) -> LabelledSet:
        """The instances of a part, as they would be without the others."""
        own = (
            dataclasses.replace(each, region=each.region.with_part(None))
            for each in self.instances
            if each.region.part == name
        )
        return LabelledSet(tuple(own), images=self.images)

    def with_part(self, name: str) -> LabelledSet:
        """The same instances, all of one part."""
        return self.with_instances(
            dataclasses.replace(each, region=each.region.with_part(name)) for each in self.instances
        )

    def join(self, other: LabelledSet) -> LabelledSet:
        """The instances of both, and whatever else is said of them; both keep their pixels in one place."""
        return LabelledSet(
            self.instances + other.instances,
            self.problems + other.problems,
            self.warnings + other.warnings,
            self.without_defect + other.without_defect,
            self.damaged | other.damaged,
            self.images,
        )

    def with_instances(self, instances: Iterable[LabelledRegion]) -> LabelledSet:
        """Other instances of the same images."""
        return dataclasses.replace(self, instances=tuple(instances))

    def draw(self, shots: int, seed: int) -> LabelledSet:
        """Draws a few instances of each class by the released protocol (see `sample_shots`).

        Args:
            shots: Instances for each class, at least 1; a class that has fewer gives all it has.
            seed: Seed of the draw.
        """
        labels = [instance.label for instance in self.instances]
        return self.with_instances(self.instances[place] for place in sample_shots(labels, shots, seed))

    def too_few(self, shots: int) -> list[str]:
        """A line for each class that has fewer instances than are to be drawn, for whoever asked for them."""
        return [
            f"warning: the class '{name}' has fewer than {shots} instances; all of them are used"
            for name, count in self.counts.items()
            if count < shots
        ]

    def with_region_input(self, kind: str) -> LabelledSet:
        """Changes what the encoder is told about each region; the windows stay where they are.

        Args:
            kind: `"mask"` leaves them as they are, `"box"` takes the filled box for the mask, `"full"` the whole image,
                which is no mask at all (the paper's "Wo.M").

        Raises:
            UsageError: There is no such kind.
        """
        return self.with_instances(
            dataclasses.replace(instance, region=instance.region.told_as(kind)) for instance in self.instances
        )

    def check_classes(self) -> None:
        """Refuses a set that nothing can be told apart with; asked before the encoder runs, which may take minutes.

        Raises:
            SupportError: There are fewer than two classes, or a part has fewer.
        """
        for part, own in self.by_part().items():
            try:
                own.check_classes()
            except SupportError as error:
                raise SupportError(f"part '{part}': {error.what}", fix=error.fix) from error
        names = self.class_names
        if len(names) < 2:
            raise SupportError(
                f"there is {'only one class, ' + repr(names[0]) if names else 'no labelled instance'}: "
                "a classifier needs at least two classes",
                fix="add labelled instances of another class",
            )


def read_labelled(
    source: RegionSource,
    *,
    min_area: int | None = None,
    label: str | None = None,
    images: KeptImages | None = None,
    plan: ViewPlan | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> LabelledSet:
    """Reads every labelled region of a source; every image is decoded, so that a damaged one is found.

    Args:
        source: What `open_source` returned.
        min_area: Smallest connected component of a mask, in pixels; by default the readers' own.
        label: The class of every region, whatever its annotation says; by default what that says.
        images: Where pixels are kept for encoding, which several sets may share; by default one of its own.
        plan: The views that will be cut, so that a box that is too large for its windows costs itself alone; by default
            that is not looked at.
        progress: Called with 1 after each image.

    Returns:
        The instances in the order of the annotations, and what was not usable.
    """
    inside = source.format == "folders"
    found: list[tuple[int, LabelledRegion]] = []
    problems: list[InputError] = list(source.problems)
    warnings: list[InputWarning] = list(source.warnings)
    without_defect = 0
    damaged: set[Path] = set()
    images = KeptImages() if images is None else images
    for item in source:
        odd: list[InputWarning] = []
        try:
            pixels = item.read(warn=odd.append)
            reading = item.regions(pixels.shape[:2], min_area, missing=missing_of(odd))
        except InputError as error:
            problems.append(error)
        else:
            problems.extend(reading.problems)
            warnings.extend(reading.warnings)
            without_defect += reading.shows_no_defect
            before = len(found)
            fits = {id(region) for region in reading.regions}
            if plan is not None:
                good, too_large = with_windows(reading.regions, plan)
                problems.extend(too_large)
                fits = {id(region) for region in good}
            for order, region in reading.indexed:
                if id(region) not in fits:
                    continue
                named = label or region.label
                if named is None:
                    problems.append(AnnotationError("has no label", where=region.source, fix=_HOW_TO_LABEL[inside]))
                else:
                    found.append((order, LabelledRegion(item.path, region, named)))
            if len(found) > before:
                images.keep(item.path, pixels, damaged=item.damaged)
                if any(isinstance(each, DamageWarning) for each in odd):
                    damaged.add(item.path)
        warnings.extend(odd)
        progress(1)
    # A table may list the instances of one image apart; its own order is the one that shots are drawn from.
    found.sort(key=lambda pair: pair[0])
    return LabelledSet(
        tuple(instance for _, instance in found),
        tuple(problems),
        tuple(warnings),
        without_defect,
        frozenset(damaged),
        images,
    )
