"""Instances put into a support cache and taken out of it."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.changes.by_part import PartChange, change_parts
from mvrec_edge.calib.changes.changed import UNFITTED, Changed
from mvrec_edge.calib.instances.encoding import EncodedInstances
from mvrec_edge.calib.instances.image_digests import image_digests
from mvrec_edge.calib.instances.labelled import LabelledRegion, LabelledSet
from mvrec_edge.runtime.errors import SupportError
from mvrec_edge.runtime.support.cache import INSTANCE_FIELDS, Adapter, SupportCache
from mvrec_edge.runtime.support.instance_rows import take_rows
from mvrec_edge.runtime.support.parts import places_of
from mvrec_edge.runtime.support.thumbnails import within_room

__all__ = ["add_instances", "find_places", "not_there_yet", "remove_instances", "without_twins"]

_MOST_NAMED = 5


def add_instances(cache: SupportCache, new: EncodedInstances) -> Changed:
    """Adds instances at the end; a class that is not there yet becomes the last one.

    An instance whose embeddings are there already, byte for byte and with the same class, is left out: twice the same
    counts twice, and finds its twin when it is left out. A trained head takes the mean embedding for the new key, as
    training would begin with; W and b stay. Where there are parts, each instance goes into its own.

    Args:
        cache: The cache.
        new: Instances of the same encoder and views, of parts that the cache has.

    Raises:
        SupportError: All of them are there already, their embeddings do not fit, or they are of no part that is there.
    """
    if cache.parts or new.parts:
        return _add_to_parts(cache, new)
    if new.embeddings.shape[1:] != cache.embeddings.shape[1:]:
        raise SupportError(
            f"the new instances have views and channels {list(new.embeddings.shape[1:])}, the cache has "
            f"{list(cache.embeddings.shape[1:])}",
            fix="encode them with the cache's bundle and views",
        )
    fresh, notes = without_twins(cache, new)
    if not len(fresh):
        raise SupportError("every new instance is in the cache already", fix="add other instances")
    new = new.take(fresh)
    names = tuple(dict.fromkeys((*cache.class_names, *new.labels)))
    everyone = EncodedInstances.of(cache).join(new)
    joined: dict[str, Any] = {name: getattr(everyone, name) for name in INSTANCE_FIELDS}
    joined["labels"] = np.array([names.index(label) for label in joined["labels"]], np.int64)
    joined["thumbnails"] = within_room(joined["thumbnails"])
    adapter = cache.adapter
    if adapter is not None:
        means = new.embeddings.mean(axis=1, dtype=np.float32)
        adapter = dataclasses.replace(adapter, keys=np.concatenate([adapter.keys, means]))
    changed = cache.changed(**joined, class_names=names, adapter=adapter, **UNFITTED)
    origins = np.concatenate([np.arange(len(cache.labels)), np.full(len(fresh), -1)]).astype(np.int64)
    notes += [f"the class '{name}' is new" for name in names[len(cache.class_names) :]]
    return Changed(changed, origins, f"added {_counted(new.labels)}", tuple(notes))


def remove_instances(cache: SupportCache, places: Iterable[int], *, drop_classes: bool = False) -> Changed:
    """Removes instances.

    Args:
        cache: The cache.
        places: Their places, from 0.
        drop_classes: Whether a class that loses its last instance goes as well, rather than being an error.

    Raises:
        SupportError: There is no such instance, a class would have none left, or fewer than two classes would be left.
            A part that loses all its instances goes where classes may.
    """
    gone = sorted(set(places))
    count = len(cache.labels)
    if not gone:
        raise SupportError("no instance is named", fix="name instances as 'mvrec-edge support list' shows them")
    if gone[0] < 0 or gone[-1] >= count:
        outside = gone[0] if gone[0] < 0 else gone[-1]
        raise SupportError(f"there is no instance {outside}: they are 0 to {count - 1}")
    if cache.parts:
        return _remove_of_parts(cache, gone, drop_classes=drop_classes)
    kept = np.setdiff1d(np.arange(count), gone).astype(np.int64)
    left = np.bincount(cache.labels[kept], minlength=len(cache.class_names))
    emptied = [name for name, total in zip(cache.class_names, left, strict=True) if not total]
    if emptied and not drop_classes:
        raise SupportError(
            f"the class '{emptied[0]}' would have no instance left",
            fix="add another instance first, or let the class go as well: --force, or drop_classes=True from Python",
        )
    names = tuple(name for name in cache.class_names if name not in emptied)
    rows = {name: take_rows(getattr(cache, name), kept) for name in INSTANCE_FIELDS}
    rows["labels"] = np.array([names.index(cache.class_names[label]) for label in rows["labels"]], np.int64)
    adapter = cache.adapter
    if adapter is not None:
        adapter = Adapter(adapter.weight, adapter.bias, adapter.keys[kept])
    if not len(kept):
        raise SupportError("no instance would be left")
    changed = cache.changed(**rows, class_names=names, adapter=adapter, **UNFITTED)
    notes = tuple(f"the class '{name}' is gone" for name in emptied)
    summary = f"removed {_counted(cache.class_names[cache.labels[place]] for place in gone)}"
    return Changed(changed, kept, summary, notes)


def find_places(cache: SupportCache, names: Sequence[str]) -> list[int]:
    """The places of instances by what a listing shows: the number, or the source.

    Args:
        cache: The cache.
        names: A number each, or a source; what reads as the number of an instance is one.

    Raises:
        SupportError: There is no such instance, or several have the source.
    """
    places = []
    for name in names:
        if name.isascii() and name.isdecimal() and len(name) < 10 and int(name) < len(cache.labels):
            places.append(int(name))
            continue
        found = [place for place, source in enumerate(cache.sources) if source == name]
        if not found:
            raise SupportError(f"there is no instance '{name}'", fix="see 'mvrec-edge support list'")
        if len(found) > 1:
            listed = ", ".join(map(str, found[:_MOST_NAMED])) + (", ..." if len(found) > _MOST_NAMED else "")
            raise SupportError(f"{len(found)} instances have the source '{name}'", fix=f"give the number: {listed}")
        places += found
    return places


def not_there_yet(cache: SupportCache, labelled: LabelledSet) -> tuple[LabelledSet, LabelledSet]:
    """The labelled instances that are not in the cache; asked before they are encoded.

    An instance is there if the cache has one of the same part, class and source on the same image. The image counts
    beside its name, since two folders may have files of one name.

    Args:
        cache: The cache.
        labelled: The instances.

    Returns:
        Those that are new, and those of which it cannot be told: the cache has their class and source, and does not say
        on which image. The rest is there.

    Raises:
        ImageError: An image cannot be read any more.
    """
    there = _images_by_name(EncodedInstances.of(cache))
    namesakes = labelled.with_instances(each for each in labelled.instances if _name_of(each) in there)
    digests = dict(zip((each.image for each in namesakes.instances), image_digests(namesakes), strict=True))
    new: list[LabelledRegion] = []
    unsure: list[LabelledRegion] = []
    for instance in labelled.instances:
        images = there.get(_name_of(instance), set())
        if digests.get(instance.image) not in images:
            (unsure if "" in images else new).append(instance)
    return labelled.with_instances(new), labelled.with_instances(unsure)


def without_twins(cache: SupportCache, new: EncodedInstances) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Which of the new instances are not there yet, byte for byte.

    Args:
        cache: The cache.
        new: Instances of the same encoder and views.

    Returns:
        The places of those that are not there, int64 `[F]`, and lines about the others and about equal sources.
    """
    present = {
        (part, cache.class_names[label], embeddings.tobytes()): place
        for place, (part, label, embeddings) in enumerate(
            zip(_parts(cache), cache.labels, cache.embeddings, strict=True)
        )
    }
    named = _images_by_name(EncodedInstances.of(cache))
    fresh: list[int] = []
    notes: list[str] = []
    for index, (part, label, source) in enumerate(zip(_parts(new), new.labels, new.sources, strict=True)):
        place = present.setdefault((part, label, new.embeddings[index].tobytes()), len(cache.labels) + len(fresh))
        if place < len(cache.labels) + len(fresh):
            notes.append(f"'{source}' is left out: it is the same as instance {place}")
            continue
        image = new.images[index] if new.images else ""
        images = named.get((part, label, source), set())
        if images and (not image or images & {image, ""}):
            notes.append(f"another instance of '{label}' has the source '{source}' too: are they the same defect?")
        fresh.append(index)
    return np.array(fresh, np.int64), notes


def _add_to_parts(cache: SupportCache, new: EncodedInstances) -> Changed:
    """Adds instances to the parts that they are of."""
    if not cache.parts:
        raise SupportError("the support cache has no parts", fix="leave out --part and --part-from")
    if not new.parts or not all(new.parts):
        raise SupportError(
            "the support cache has parts, and it is not said of which one a new instance is",
            fix=f"give --part with one of {', '.join(cache.part_names)}",
        )
    if strange := [part for part in new.parts if part not in cache.part_names]:
        raise SupportError(
            f"the support cache has no part '{strange[0]}'",
            fix="calibrate the part, and add its cache with 'support merge'; or give one of "
            + ", ".join(cache.part_names),
        )
    fresh, _ = without_twins(cache, new)
    if not len(fresh):
        raise SupportError("every new instance is in the cache already", fix="add other instances")
    wanted = {new.parts[index] for index in fresh}
    changes: dict[str, PartChange] = {}
    for name in cache.part_names:
        if name in wanted:
            own = new.take(np.array([index for index, part in enumerate(new.parts) if part == name], np.int64))
            changes[name] = functools.partial(_added, new=dataclasses.replace(own, parts=()))
    return change_parts(cache, changes)


def _added(cache: SupportCache, *, new: EncodedInstances) -> Changed:
    return add_instances(cache, new)


def _remove_of_parts(cache: SupportCache, gone: Sequence[int], *, drop_classes: bool) -> Changed:
    """Removes instances of the parts that they are of; a part goes with its last one, where classes may."""
    changes: dict[str, PartChange] = {}
    for name in cache.part_names:
        places = places_of(cache, name)
        own = np.flatnonzero(np.isin(places, gone)).tolist()
        if len(own) == len(places) and drop_classes:
            changes[name] = None
        elif own:
            changes[name] = functools.partial(_removed, places=own, drop_classes=drop_classes)
    return change_parts(cache, changes)


def _removed(cache: SupportCache, *, places: Sequence[int], drop_classes: bool) -> Changed:
    return remove_instances(cache, places, drop_classes=drop_classes)


def _name_of(instance: LabelledRegion) -> tuple[str, str, str]:
    """What an instance is known by: part, class and source."""
    return instance.region.part or "", instance.label, instance.source


def _parts(instances: EncodedInstances | SupportCache) -> tuple[str, ...]:
    """The part of each instance, empty where there are none."""
    return instances.parts or ("",) * len(instances.labels)


def _images_by_name(instances: EncodedInstances) -> dict[tuple[str, str, str], set[str]]:
    """The images of the instances of each part, class and source; an empty text for one that is not known."""
    found: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    images = instances.images or ("",) * len(instances.labels)
    named = zip(_parts(instances), instances.labels, instances.sources, images, strict=True)
    for part, label, source, image in named:
        found[part, label, source].add(image)
    return dict(found)


def _counted(labels: Iterable[str]) -> str:
    """Such as `2 instances of 'dent', 1 of 'pit'`."""
    counts = Counter(labels)
    parts = [f"{count} of '{name}'" for name, count in counts.items()]
    first = next(iter(counts.values()))
    parts[0] = parts[0].replace(" of ", f" instance{'' if first == 1 else 's'} of ", 1)
    return ", ".join(parts)
