"""`mvrec-edge support add`: labelled defects encoded and put into a cache that is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvrec_edge.cli.completion import complete_class
from mvrec_edge.cli.flattening import flattened
from mvrec_edge.cli.options import CachePath, EngineOptions, LabelledOptions
from mvrec_edge.cli.part_options import PartOptions
from mvrec_edge.cli.support.shared_options import ChangeOptions, NewClass, check_new_class

if TYPE_CHECKING:
    from mvrec_edge.calib import LabelledSet
    from mvrec_edge.calib.changes import Changed
    from mvrec_edge.calib.instances.encoding import EncodedInstances
    from mvrec_edge.calib.instances.labelled import LabelledRegion
    from mvrec_edge.runtime import Engine, SupportCache, ViewPlan

__all__ = ["add"]


_Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        "-l",
        autocompletion=complete_class,
        help="Class of all defects that are added, also as PART/CLASS; by default the class in the annotation of each.",
    ),
]


@flattened
def add(
    cache: CachePath,
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="Labelled defects to add: images with a mask beside them, or any labelled set that 'calibrate' takes. "
            "IMAGE#2 is region 2 of an image alone, LABELFILE#7 entry 7 of a label file, as the records of 'classify' "
            "name them.",
        ),
    ],
    bundle: Annotated[Path, typer.Option("--bundle", "-b", help="Bundle that the support cache was made with.")],
    *,
    label: _Label = None,
    new_class: NewClass = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Also encode defects that are in the support cache already, by image, source and class."
        ),
    ] = False,
    showing: PartOptions,
    reading: LabelledOptions,
    encoding: EngineOptions,
    writing: ChangeOptions,
) -> None:
    """Add labelled defects to a support cache; only new ones are encoded.

    Example: mvrec-edge support add line.safetensors part7.jpg --bundle encoder.bundle --label dent

    Example: mvrec-edge support add line.safetensors part7.jpg#2 --bundle encoder.bundle --label dent

    Example: mvrec-edge support add line.safetensors labelled/ --bundle encoder.bundle
    """
    from mvrec_edge.calib import LabelledSet
    from mvrec_edge.calib.changes import add_instances
    from mvrec_edge.calib.instances.kept_images import KeptImages
    from mvrec_edge.cli.console import say, say_damaged
    from mvrec_edge.cli.support.changing import change_cache
    from mvrec_edge.cli.support.region_sources import read_source
    from mvrec_edge.runtime import Bundle, SupportCache
    from mvrec_edge.runtime.classifier import matching_precision
    from mvrec_edge.runtime.errors import UsageError

    if label is not None and not label.strip():
        raise UsageError("--label is empty")
    opened = Bundle.load(bundle, graphs=())
    unsure: list[LabelledRegion] = []
    read: list[LabelledSet] = []
    if label is not None and not showing.wanted:
        showing, label = told_by_label(SupportCache.load(cache), label)

    def change(before: SupportCache) -> Changed | None:
        precision = matching_precision(opened, before)
        plan = before.view_plan
        if plan is None:
            raise UsageError("the support cache has no view plan, so no views can be cut for it", where=cache)
        showing.check_cache(before)
        check_told(before, told=showing.wanted, label=label)
        encoding.check(opened, precision)
        if label is not None and showing.part_from is None:
            check_new_class(label, classes_beside(before, showing.part), insist=new_class)
        images = KeptImages()
        read.extend(read_source(reading, path, before, showing, label=label, images=images) for path in sources)
        found = LabelledSet(tuple(instance for each in read for instance in each.instances), images=images)
        _check_classes(before, found, label, insist=new_class)
        labelled = _new_ones(before, found, unsure, again=again)
        if labelled is None:
            return None
        with encoding.open(opened, precision, say) as encoder:
            encoded = _encoded(encoder, labelled, plan, before)
        if not again and _all_there(before, encoded, len(found.instances) - len(unsure)):
            return None
        return add_instances(before, encoded)

    change_cache(cache, change, writing)
    say_damaged(frozenset[Path]().union(*(each.damaged for each in read)))
    if unsure or any(each.problems for each in read):
        raise typer.Exit(1)


def check_told(before: SupportCache, *, told: bool, label: str | None) -> None:
    """Refuses to guess the part of defects that are added.

    Args:
        before: The cache that they are added to.
        told: Whether their part is said.
        label: The class that is given for all of them.

    Raises:
        UsageError: The cache has parts, and none is said.
    """
    from mvrec_edge.runtime.errors import UsageError

    if before.parts and not told:
        own = zip(before.class_titles, before.class_names, strict=True)
        titles = "".join(f"--label {title}, or " for title, name in own if name == label)
        raise UsageError(
            "the support cache has parts, and it is not said which one the defects are of",
            fix=f"give {titles}--part with one of {', '.join(before.part_names)}, or --part-from",
        )


def told_by_label(cache: SupportCache, label: str) -> tuple[PartOptions, str]:
    """The part and the class that a label names as PART/CLASS; no part where the cache has no such one."""
    part, slash, name = label.partition("/")
    if slash and name.strip() and part in cache.part_names:
        return PartOptions(part=part), name
    return PartOptions(), label


def classes_beside(before: SupportCache, part: str | None) -> tuple[str, ...]:
    """The classes that a new one may be a slip for: those of its part."""
    if not before.parts:
        return before.class_names
    classes = zip(before.class_parts, before.class_names, strict=True)
    return tuple(name for of, name in classes if of == part)


def _encoded(engine: Engine, labelled: LabelledSet, plan: ViewPlan, before: SupportCache) -> EncodedInstances:
    """The instances as the cache keeps them, with a bar."""
    from mvrec_edge.calib.instances.encoding import encode_for_cache
    from mvrec_edge.cli.console import view_bar

    with view_bar("encoding", len(labelled.instances) * plan.count) as advance:
        return encode_for_cache(
            engine,
            labelled,
            plan,
            class_names=before.class_names,
            # A cache that was made without pictures stays without them.
            pictures=bool(before.thumbnails),
            progress=advance,
        )


def _check_classes(before: SupportCache, found: LabelledSet, checked: str | None, *, insist: bool) -> None:
    """Asks about each class of the labels that is new and close to a known one, but for one that was asked about."""
    named = {(each.region.part, each.label): each.source for each in reversed(found.instances)}
    for (part, name), source in named.items():
        check_new_class(name, classes_beside(before, part), insist=insist or name == checked, where=source)


def _new_ones(
    before: SupportCache, labelled: LabelledSet, unsure: list[LabelledRegion], *, again: bool
) -> LabelledSet | None:
    """The labelled instances that are to be encoded, as the cache learned; or None where there are none.

    Those that are left out by name alone go into `unsure`.
    """
    from mvrec_edge.calib.changes import not_there_yet
    from mvrec_edge.cli.console import say
    from mvrec_edge.runtime.errors import SupportError
    from mvrec_edge.runtime.wording import counted

    if not labelled.instances:
        raise SupportError("there is no labelled defect to add", fix="give --label, or a source with labels")
    if again:
        return _as_learned(before, labelled)
    new, by_name = not_there_yet(before, labelled)
    unsure.extend(by_name.instances)
    known = len(labelled.instances) - len(new.instances) - len(unsure)
    if not new.instances and not unsure:
        _say_nothing_to_add(known)
        return None
    if known:
        say(
            f"left out {counted(known, 'defect')} whose image, source and class are in the cache already "
            "(--again encodes these, too)"
        )
    if unsure:
        say(
            f"warning: left out {counted(len(unsure), 'defect')} by source and class alone, such as "
            f"'{unsure[0].image}': this cache does not say which images its defects are on, so another image "
            "of the same name is left out as well (--again encodes these, too)"
        )
    return _as_learned(before, new) if new.instances else None


def _all_there(before: SupportCache, encoded: EncodedInstances, known: int) -> bool:
    """Whether every instance is in the cache under another name, which shows only when it is encoded; says so."""
    from mvrec_edge.calib.changes.membership import without_twins

    new, _ = without_twins(before, encoded)
    if not len(new):
        _say_nothing_to_add(known)
    return not len(new)


def _say_nothing_to_add(known: int) -> None:
    from mvrec_edge.cli.console import say

    every = "the defect is" if known == 1 else f"all {known} defects are"
    say(f"nothing to add: {every} in the cache already (--again encodes what has the same image, source and class)")


def _as_learned(before: SupportCache, labelled: LabelledSet) -> LabelledSet:
    """The instances as the encoder was told of those in the cache; a warning where they were marked otherwise."""
    from mvrec_edge.cli.console import say
    from mvrec_edge.runtime.regions.kinds import describe_mixing

    if before.region_input == "full":
        labelled = labelled.with_region_input("full")
    mixing = describe_mixing(
        before.region_input, (instance.region for instance in labelled.instances), "defects to add"
    )
    if mixing is not None:
        say(f"warning: {mixing}")
    return labelled
