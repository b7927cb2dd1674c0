"""Labelled instances through the encoder: their embeddings, for a support cache or for an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.instances.embedding_store import EmbeddingStore
from mvrec_edge.calib.instances.image_digests import image_digests
from mvrec_edge.calib.instances.labelled import LabelledSet
from mvrec_edge.calib.instances.thumbnails import Thumbnails
from mvrec_edge.runtime.classifier import check_view_size, warn_if_random
from mvrec_edge.runtime.engines import Engine
from mvrec_edge.runtime.engines.encoding import ImageRegions, encode_images
from mvrec_edge.runtime.errors import SupportError
from mvrec_edge.runtime.support.cache import INSTANCE_FIELDS, SupportCache, check_words, float16_embeddings
from mvrec_edge.runtime.support.instance_rows import join_rows, take_rows
from mvrec_edge.runtime.views import ViewPlan

__all__ = ["EncodedInstances", "encode_for_cache", "encode_instances", "encode_support"]


@dataclass(frozen=True)
class EncodedInstances:
    """Instances with the fields that a support cache keeps of each, under the same names (`INSTANCE_FIELDS`).

    Attributes:
        embeddings: float16 `[M, V, C]`.
        labels: Their classes.
        sources: Where each was read from.
        thumbnails: A small JPEG file of each, empty where it has none; `()` where none has.
        images: What tells the image of each from others, empty where it is not known; `()` where none is.
        parts: The part that each is of; `()` where parts are not told apart.
    """

    embeddings: npt.NDArray[np.float16]
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    thumbnails: tuple[bytes, ...] = ()
    images: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @classmethod
    def of(cls, cache: SupportCache) -> EncodedInstances:
        """The instances of a cache."""
        rows = {name: getattr(cache, name) for name in INSTANCE_FIELDS}
        rows["labels"] = tuple(cache.class_names[label] for label in cache.labels)
        return cls(**rows)

    def take(self, indices: npt.NDArray[np.integer]) -> EncodedInstances:
        """Some of the instances."""
        return EncodedInstances(**{name: take_rows(getattr(self, name), indices) for name in INSTANCE_FIELDS})

    def join(self, other: EncodedInstances) -> EncodedInstances:
        """These instances, and then the others."""
        counts = len(self.labels), len(other.labels)
        return EncodedInstances(
            **{
                name: join_rows(getattr(self, name), getattr(other, name), counts, missing)
                for name, missing in INSTANCE_FIELDS.items()
            }
        )


def encode_instances(
    engine: Engine,
    labelled: LabelledSet,
    plan: ViewPlan,
    *,
    store: EmbeddingStore | None = None,
    thumbnails: Thumbnails | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> npt.NDArray[np.float32]:
    """Encodes labelled instances.

    Args:
        engine: The engine.
        labelled: The instances; there may be any number of classes.
        plan: The views to cut.
        store: Where embeddings are kept between runs; what it has is not encoded again.
        thumbnails: Pictures to draw of the instances that are encoded.
        progress: Called with a number of views as they are done, encoded or found.

    Returns:
        float32 `[I, V, C]`, in the order of the instances.

    Raises:
        ImageError: An image cannot be read any more.
        UsageError: The plan's view size is not the engine's.
    """
    check_view_size(engine, plan)
    warn_if_random(engine.random_weights)
    shape = (plan.count, engine.embedding_dim)
    embeddings = np.empty((len(labelled.instances), *shape), np.float32)
    keys: dict[int, str] = {}
    if store is not None:
        for place, instance in enumerate(labelled.instances):
            key = store.key(instance.image, instance.region, plan, engine.fingerprint)
            found = store.get(key, shape)
            if found is None:
                keys[place] = key
            else:
                embeddings[place] = found
                progress(plan.count)

    def items() -> Iterator[ImageRegions[list[int]]]:
        for path, places in labelled.places_by_image.items():
            wanted = places if store is None else [place for place in places if place in keys]
            if wanted:
                regions = [labelled.instances[place].region for place in wanted]
                yield ImageRegions(wanted, labelled.images.read(path), regions)

    for encoded in encode_images(engine, plan, items(), progress):
        embeddings[encoded.item.key] = encoded.embeddings
        if thumbnails is not None:
            thumbnails.draw(encoded.item.image, encoded.item.key)
        if store is not None:
            for place, embedding in zip(encoded.item.key, encoded.embeddings, strict=True):
                store.put(keys[place], embedding)
    return embeddings


def encode_for_cache(
    engine: Engine,
    labelled: LabelledSet,
    plan: ViewPlan,
    *,
    class_names: Sequence[str] = (),
    pictures: bool = True,
    progress: Callable[[int], None] = lambda _: None,
) -> EncodedInstances:
    """Encodes labelled instances as a support cache keeps them, for a new cache or for one that is there.

    Args:
        engine: The engine that will also classify.
        labelled: The instances; there may be any number of classes.
        plan: The views to cut.
        class_names: The classes of the cache that is there, whose order decides the colours of the thumbnails.
        pictures: Whether to make a small picture of each instance, for reports.
        progress: Called with the number of views after each batch.

    Raises:
        ImageError: An image cannot be read any more.
        SupportError: A cache cannot hold the names of the classes and instances, or an embedding as float16.
        UsageError: The plan's view size is not the engine's.
    """
    sources = tuple(instance.source for instance in labelled.instances)
    check_words(labelled.class_names, sources)
    thumbnails = Thumbnails(labelled, tuple(dict.fromkeys((*class_names, *labelled.class_names))))
    embeddings = encode_instances(
        engine, labelled, plan, thumbnails=thumbnails if pictures else None, progress=progress
    )
    return EncodedInstances(
        embeddings=float16_embeddings(embeddings),
        labels=tuple(instance.label for instance in labelled.instances),
        sources=sources,
        thumbnails=tuple(thumbnails.pictures),
        images=image_digests(labelled),
        parts=tuple(each.region.part or "" for each in labelled.instances) if labelled.part_names else (),
    )


def encode_support(
    engine: Engine,
    labelled: LabelledSet,
    plan: ViewPlan | None = None,
    *,
    shots: int | None = None,
    seed: int | None = None,
    pictures: bool = True,
    progress: Callable[[int], None] = lambda _: None,
) -> SupportCache:
    """Encodes labelled instances into a support cache on which nothing is fitted yet; `calibrate` does both.

    Args:
        engine: The engine that will also classify.
        labelled: The instances; their order decides the order of the classes.
        plan: The views to cut; by default `mso` at the engine's size.
        shots: Instances drawn for each class, for the record.
        seed: Seed of the draw, for the record.
        pictures: Whether the cache keeps a small picture of each instance, for reports.
        progress: Called with the number of views after each batch.

    Raises:
        SupportError: There are fewer than two classes, or the instances are of parts.
        ImageError: An image cannot be read any more.
    """
    labelled.check_classes()
    if labelled.part_names:
        raise SupportError("each part is encoded into a cache of its own", fix="take one with by_part(), or calibrate")
    plan = plan or ViewPlan.by_name("mso", size=engine.image_size)
    encoded = encode_for_cache(engine, labelled, plan, pictures=pictures, progress=progress)
    names = labelled.class_names
    rows: dict[str, Any] = {name: getattr(encoded, name) for name in INSTANCE_FIELDS}
    rows["labels"] = [names.index(label) for label in encoded.labels]
    return SupportCache.from_embeddings(
        **rows,
        class_names=names,
        view_plan=plan,
        encoder=engine.fingerprint,
        encoder_name=engine.encoder_name,
        random_weights=engine.random_weights,
        shots=shots,
        seed=seed,
        region_input=labelled.region_input,
    )
