"""The support cache: the labelled embeddings a head classifies against, as one safetensors file."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import InputError, IntegrityError, MvrecEdgeError, SupportError, UsageError
from mvrec_edge.runtime.files import atomic_write, canonical_json, sha256_bytes
from mvrec_edge.runtime.files.json_documents import MAX_TEXT, Fields, read_signed_json, schema_of, signed_json
from mvrec_edge.runtime.files.tensor_file import LARGEST_HEADER, read_tensors, tensors_in
from mvrec_edge.runtime.regions.kinds import MIXED
from mvrec_edge.runtime.regions.region import REGION_INPUTS
from mvrec_edge.runtime.support.head_settings import HeadSettings
from mvrec_edge.runtime.support.image_groups import can_be_left_out, image_groups
from mvrec_edge.runtime.support.instance_rows import take_rows
from mvrec_edge.runtime.support.left_out_whitening import LeftOutWhitening, left_out_whitening_of
from mvrec_edge.runtime.support.novelty_calibration import NoveltyCalibration, check_novelty
from mvrec_edge.runtime.support.part_fit import PartFits, check_parts, titles
from mvrec_edge.runtime.support.part_records import (
    LEFT_OUT,
    LEFT_OUT_WHITENED,
    described_parts,
    novelty_of_parts,
    read_parts,
)
from mvrec_edge.runtime.support.reject_rate import HIGHEST_RATE, LOWEST_RATE
from mvrec_edge.runtime.support.review_limits import ReviewLimits, check_review
from mvrec_edge.runtime.support.thumbnails import TENSORS as THUMBNAIL_TENSORS
from mvrec_edge.runtime.support.thumbnails import check_thumbnails, pack, unpack
from mvrec_edge.runtime.support.whitening import Whitening, whitening_of
from mvrec_edge.runtime.views.plan import ViewPlan
from mvrec_edge.runtime.views.schedule import ViewSchedule
from mvrec_edge.runtime.wording import counted

__all__ = [
    "INSTANCE_FIELDS",
    "LARGEST_SEED",
    "MOST_INSTANCES",
    "Adapter",
    "SupportCache",
    "check_words",
    "float16_embeddings",
]

SCHEMA = "mvrec-edge/support-cache/1"
# Of a cache with parts. A version that knows none would take it for a cache of one.
_PARTED_SCHEMA = "mvrec-edge/support-cache/2"

#: The fields with one entry for each instance, an array or a tuple, and what an instance has there that has none; None
#: where every instance has one. Whatever stands here goes along when instances are chosen, left out, or joined (see
#: `instance_rows`).
INSTANCE_FIELDS: dict[str, Any] = {
    "embeddings": None,
    "labels": None,
    "sources": None,
    "images": "",
    "thumbnails": b"",
    "parts": "",
}

#: Bounds of the instances of a cache and of the shots it was drawn with, and of the seed of the draw.
MOST_INSTANCES = 1 << 20
LARGEST_SEED = 1 << 63

# What the header takes beside the words of the instances.
_HEADER_ROOM = 1 << 17
_ADAPTER = ("weight", "bias", "keys")
_LARGEST_TUNED = 1e9
_LARGEST_FLOAT16 = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Adapter:
    """What fine-tuning changed.

    Attributes:
        weight: float32 `[C, C]`, W of the projection.
        bias: float32 `[C]`, b of the projection.
        keys: float32 `[NK, C]`, in the order of the support instances.
    """

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    keys: npt.NDArray[np.float32]


@dataclass(frozen=True)
class SupportCache:
    """Labelled view embeddings and all that is needed to classify against them.

    Make one with `from_embeddings` or `load`, which check it.

    Attributes:
        embeddings: float16 `[NK, V, C]`, the V views of NK support instances.
        labels: int64 `[NK]`, indices into `class_names`.
        class_names: The N >= 2 classes, each with at least one instance.
        sources: Where each instance was read from, for records.
        images: What tells the image of each instance from others, such as a digest of its file; empty where it is not
            known, `()` where none is. Instances of one image are left out together.
        view_plan: The plan the views were cut with; None where the embeddings came from elsewhere.
        encoder: Fingerprint of the encoder that made the embeddings; empty where it is not known.
        encoder_name: The encoder in words.
        random_weights: Whether that encoder's weights were drawn.
        head: The head and its parameters.
        shots: Instances drawn for each class; None where all were used.
        seed: Seed of the draw; None where all were used.
        adapter: What fine-tuning changed; None for the training-free heads.
        schedule: The order of the views and when to stop; None where none was fitted.
        novelty: How far known defects lie from one another; None where calibration did not measure it.
        review: Below which probability a human looks at a region; None where no limit was asked for.
        region_input: What the instances' regions were: `"mask"`, `"box"`, `"full"` or `"mixed"`; empty where it is not
            known.
        thumbnails: A small JPEG file of each instance, empty where it has none, for reports; `()` where none has.
        parts: The part, or product, that each instance is of; `()` in a cache that knows of no parts. A class belongs
            to one part, so that `class_names` may hold a name once for each part.
        part_fits: What was fitted for each part; None in a cache without parts. Where there are parts, `head`,
            `adapter`, `schedule`, `novelty`, `shots` and `seed` say nothing: each part is used by its own
            (`runtime/support/parts.py`).
    """

    embeddings: npt.NDArray[np.float16]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    sources: tuple[str, ...]
    images: tuple[str, ...] = ()
    view_plan: ViewPlan | None = None
    encoder: str = ""
    encoder_name: str = ""
    random_weights: bool = False
    head: HeadSettings = field(default_factory=HeadSettings)
    shots: int | None = None
    seed: int | None = None
    adapter: Adapter | None = None
    schedule: ViewSchedule | None = None
    novelty: NoveltyCalibration | None = None
    review: ReviewLimits | None = None
    region_input: str = ""
    thumbnails: tuple[bytes, ...] = field(default=(), repr=False)
    parts: tuple[str, ...] = ()
    part_fits: PartFits | None = None

    @classmethod
    def from_embeddings(
        cls,
        embeddings: npt.NDArray[np.floating],
        labels: npt.ArrayLike,
        class_names: Sequence[str],
        *,
        sources: Sequence[str] | None = None,
        images: Sequence[str] = (),
        view_plan: ViewPlan | None = None,
        encoder: str = "",
        encoder_name: str = "",
        random_weights: bool = False,
        head: HeadSettings | None = None,
        shots: int | None = None,
        seed: int | None = None,
        adapter: Adapter | None = None,
        schedule: ViewSchedule | None = None,
        novelty: NoveltyCalibration | None = None,
        review: ReviewLimits | None = None,
        region_input: str = "",
        thumbnails: Sequence[bytes] = (),
        parts: Sequence[str] = (),
        part_fits: PartFits | None = None,
    ) -> SupportCache:
        """Makes a cache, checking everything a head relies on.

        Args:
            embeddings: `[NK, V, C]`, finite; stored as float16.
            labels: `[NK]`, indices into `class_names`.
            class_names: The classes, at least two, without repetition; each part has its own.
            sources: Where each instance was read from; by default its number.
            images: What tells the image of each instance from others, empty where it is not known; or nothing.
            view_plan: The plan the views were cut with.
            encoder: Fingerprint of the engine that made the embeddings.
            encoder_name: The encoder in words.
            random_weights: Whether that encoder's weights were drawn.
            head: The head and its parameters; by default the Zip-Adapter of the paper.
            shots: Instances drawn for each class, for the record.
            seed: Seed of the draw, for the record.
            adapter: What fine-tuning changed.
            schedule: The order of the views and when to stop.
            novelty: How far known defects lie from one another.
            review: Below which probability a human looks at a region.
            region_input: What the regions of the instances were.
            thumbnails: A small JPEG file of each instance, empty where it has none; or nothing.
            parts: The part that each instance is of, or nothing.
            part_fits: What was fitted for each part, where there are parts.

        Raises:
            SupportError: The embeddings and labels cannot make a classifier; the message says why.
        """
        values = np.asarray(embeddings)
        indices = np.asarray(labels)
        if values.ndim != 3 or 0 in values.shape or not np.issubdtype(values.dtype, np.floating):
            raise SupportError(f"embeddings must be floats [NK, V, C], these are {values.dtype} {list(values.shape)}")
        if indices.shape != values.shape[:1] or not np.issubdtype(indices.dtype, np.integer):
            raise SupportError(
                f"labels must be {len(values)} whole numbers, these are {indices.dtype} {list(indices.shape)}"
            )
        values = float16_embeddings(values)
        if not np.linalg.norm(values.mean(axis=1, dtype=np.float32), axis=1).all():
            raise SupportError("an instance's mean embedding is zero, so it has no direction")
        names = tuple(class_names)
        of_parts = tuple(parts)
        _check_classes(names, indices, of_parts, part_fits)
        _check_adapter(adapter, len(values), values.shape[2])
        of_images = tuple(images) if any(images) else ()
        if of_images and len(of_images) != len(values):
            raise SupportError(
                f"the support has {counted(len(values), 'instance')} but {counted(len(of_images), 'image')}"
            )
        left_out = can_be_left_out(image_groups(of_images, len(values)), indices)
        check_novelty(novelty, left_out)
        check_review(review, len(names))
        _check_part_fits(part_fits, of_parts, indices, left_out, values.shape[1])
        if view_plan is not None and view_plan.count != values.shape[1]:
            raise SupportError(
                f"the view plan has {counted(view_plan.count, 'view')}, the embeddings have {values.shape[1]}"
            )
        if schedule is not None and len(schedule.order) != values.shape[1]:
            raise SupportError(
                f"the view schedule is for {counted(len(schedule.order), 'view')}, "
                f"the embeddings have {values.shape[1]}"
            )
        if region_input not in ("", *REGION_INPUTS, MIXED):
            raise SupportError(f"there is no region input '{region_input}'")
        origin = tuple(sources) if sources is not None else tuple(str(index) for index in range(len(values)))
        if len(origin) != len(values):
            raise SupportError(
                f"the support has {counted(len(values), 'instance')} but {counted(len(origin), 'source')}"
            )
        return cls(
            embeddings=values,
            labels=np.ascontiguousarray(indices, np.int64),
            class_names=names,
            sources=origin,
            images=of_images,
            view_plan=view_plan,
            encoder=encoder,
            encoder_name=encoder_name,
            random_weights=random_weights,
            head=head or HeadSettings(),
            shots=shots,
            seed=seed,
            adapter=adapter,
            schedule=schedule,
            novelty=novelty,
            review=review,
            region_input=region_input,
            thumbnails=check_thumbnails(thumbnails, len(values)),
            parts=of_parts,
            part_fits=part_fits,
        )

    def subset(self, indices: npt.ArrayLike) -> SupportCache:
        """A cache of some of the instances, with the same classes, for leaving instances out.

        Args:
            indices: Instances to keep; every class must keep at least one.

        Raises:
            SupportError: A class loses its last instance.
        """
        chosen = np.asarray(indices, np.intp)
        rows = {name: take_rows(getattr(self, name), chosen) for name in INSTANCE_FIELDS}
        fits = None if self.part_fits is None else self.part_fits.without_novelty()
        _check_classes(self.class_names, rows["labels"], rows["parts"], fits)
        return dataclasses.replace(self, **rows, adapter=None, schedule=None, novelty=None, review=None, part_fits=fits)

    def changed(self, **changes: Any) -> SupportCache:
        """A cache with other values in some of its fields, checked like a new one.

        Args:
            **changes: Fields and their values.

        Raises:
            SupportError: The result cannot make a classifier.
        """
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return SupportCache.from_embeddings(**(values | changes))

    @property
    def part_names(self) -> tuple[str, ...]:
        """The parts; none in a cache without parts."""
        return () if self.part_fits is None else self.part_fits.names

    @functools.cached_property
    def class_parts(self) -> tuple[str, ...]:
        """The part of each class; `()` in a cache without parts."""
        return check_parts(self.parts, self.part_fits, self.class_names, self.labels)

    @property
    def class_titles(self) -> tuple[str, ...]:
        """What tells each class from all others: its name, and `PART/CLASS` where there are parts."""
        return titles(self.class_names, self.class_parts)

    @property
    def keys(self) -> npt.NDArray[np.float32]:
        """The mean over views of every instance, float32 `[NK, C]`."""
        means: npt.NDArray[np.float32] = self.embeddings.mean(axis=1, dtype=np.float32)
        return means

    @property
    def whitening(self) -> Whitening:
        """The metric of the whitened heads, which follows from the embeddings and labels."""
        return whitening_of(self.embeddings, self.labels, len(self.class_names))

    @property
    def left_out_whitening(self) -> LeftOutWhitening:
        """The same without one image after another."""
        return left_out_whitening_of(self.whitening, self.image_groups)

    @property
    def fingerprint(self) -> str:
        """What an embedding must have in common with the cache's: encoder, views and their resampling."""
        plan = None if self.view_plan is None else self.view_plan.to_dict()
        return sha256_bytes(canonical_json({"encoder": self.encoder, "view_plan": plan}))

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the cache as `save` writes it, in hexadecimal: what `sha256sum` prints for its file."""
        return sha256_bytes(self.to_bytes())

    @property
    def image_groups(self) -> npt.NDArray[np.int64]:
        """Which instances lie on one image, int64 `[NK]`; see `image_groups`."""
        return image_groups(self.images, len(self.labels))

    @property
    def can_be_left_out(self) -> npt.NDArray[np.bool_]:
        """Which instances can be left out with their image, bool `[NK]`: their class keeps one of another image."""
        return can_be_left_out(self.image_groups, self.labels)

    @property
    def counts(self) -> dict[str, int]:
        """Instances of every class, by `class_titles`."""
        totals = np.bincount(self.labels, minlength=len(self.class_names))
        return dict(zip(self.class_titles, (int(total) for total in totals), strict=True))

    def save(self, path: str | Path) -> None:
        """Writes the cache, whole or not at all.

        Raises:
            OutputError: The file cannot be written.
            SupportError: What would be written could not be read again.
        """
        data = self.readable_bytes()
        with atomic_write(Path(path)) as stream:
            stream.write(data)

    def to_bytes(self) -> bytes:
        """The cache as the bytes of its file; equal caches give equal bytes."""
        import safetensors.numpy

        tensors: dict[str, npt.NDArray[Any]] = {"embeddings": self.embeddings, "labels": self.labels}
        if self.adapter is not None:
            tensors |= {f"adapter.{name}": getattr(self.adapter, name) for name in _ADAPTER}
        if self.novelty is not None:
            tensors[LEFT_OUT] = self.novelty.left_out
            # Left out where there is none, so that such a file is the same as one of an earlier version.
            if self.novelty.left_out_whitened is not None:
                tensors[LEFT_OUT_WHITENED] = self.novelty.left_out_whitened
        tensors |= novelty_of_parts(self.parts, self.part_fits)
        tensors |= pack(self.thumbnails)
        description: dict[str, Any] = {
            "schema": SCHEMA if self.part_fits is None else _PARTED_SCHEMA,
            "class_names": list(self.class_names),
            "sources": list(self.sources),
            "view_plan": None if self.view_plan is None else self.view_plan.to_dict(),
            "encoder": self.encoder,
            "encoder_name": self.encoder_name,
            "random_weights": self.random_weights,
            "head": self.head.to_dict(),
            "shots": self.shots,
            "seed": self.seed,
        }
        # Left out where there is none, so that such a file is the same as one of an earlier version.
        if self.images:
            description["images"] = list(self.images)
        if self.schedule is not None:
            description["schedule"] = self.schedule.to_dict()
        if self.novelty is not None:
            description["novelty"] = {"reject_rate": self.novelty.reject_rate}
        if self.review is not None:
            description["review"] = self.review.to_dict()
        if self.region_input:
            description["region_input"] = self.region_input
        if self.part_fits is not None:
            description["parts"] = described_parts(self.part_fits, self.class_parts)
        # One entry: the library writes several in an order of its own, and equal caches shall be equal files.
        text = signed_json(description, _tensor_bytes(tensors)).decode()
        return safetensors.numpy.save(tensors, metadata={"mvrec_edge": text})

    def readable_bytes(self) -> bytes:
        """The bytes of its file, which were read back: a cache holds labelled work, and shall not be lost unnoticed.

        Raises:
            SupportError: What would be written could not be read again.
        """
        try:
            data = self.to_bytes()
            self._read(*tensors_in(io.BytesIO(data), len(data)), Path("the new cache"))
        except ValueError as error:
            raise SupportError(f"the support cache is not written, since nothing could read it: {error}") from error
        except MvrecEdgeError as error:
            raise SupportError(
                f"the support cache is not written, since nothing could read it: {error.what}"
            ) from error
        return data

    @classmethod
    def load(cls, path: str | Path) -> SupportCache:
        """Reads a cache, trusting nothing in it.

        Raises:
            InputError: The file cannot be read or is not a support cache.
            IntegrityError: The file was changed after it was written, or is of an unknown schema.
        """
        path = Path(path)
        return cls._read(*read_tensors(path, "a support cache"), path)

    @classmethod
    def _read(cls, tensors: dict[str, npt.NDArray[Any]], metadata: dict[str, str], path: Path) -> SupportCache:
        text = metadata.get("mvrec_edge")
        tuned = {f"adapter.{name}" for name in _ADAPTER}
        optional = tuned | {LEFT_OUT, LEFT_OUT_WHITENED} | THUMBNAIL_TENSORS
        if text is None or set(tensors) - optional != {"embeddings", "labels"}:
            raise InputError(
                "is not a support cache", where=path, fix="give the file that 'mvrec-edge calibrate' wrote"
            )
        data = text.encode("utf-8", "surrogatepass")
        parted = schema_of(data) == _PARTED_SCHEMA
        fields = read_signed_json(
            data,
            str(path),
            schema=_PARTED_SCHEMA if parted else SCHEMA,
            again="calibrate again",
            covers=_tensor_bytes(tensors),
        )
        try:
            return cls.from_embeddings(
                tensors["embeddings"],
                tensors["labels"],
                fields.texts("class_names", most=MOST_INSTANCES),
                sources=fields.texts("sources", most=MOST_INSTANCES),
                images=fields.texts("images", most=MOST_INSTANCES) if "images" in fields.payload else (),
                view_plan=_view_plan(fields),
                encoder=fields.text("encoder", longest=64),
                encoder_name=fields.text("encoder_name"),
                random_weights=fields.payload.get("random_weights") is True,
                head=HeadSettings.from_fields(fields.object("head")),
                shots=fields.optional_integer("shots", 1, MOST_INSTANCES),
                seed=fields.optional_integer("seed", 0, LARGEST_SEED),
                adapter=_adapter(tensors, tuned),
                schedule=_schedule(fields, tensors["embeddings"].shape),
                novelty=None if parted else _novelty(tensors, fields),
                review=ReviewLimits.from_fields(fields.object("review")) if "review" in fields.payload else None,
                region_input=_region_input(fields),
                thumbnails=unpack(tensors),
                **(_parts(tensors, fields) if parted else {}),
            )
        except SupportError as error:
            raise IntegrityError(error.what, where=path, fix="calibrate again") from error


def check_words(class_names: Sequence[str], sources: Sequence[str]) -> None:
    """Refuses classes and sources that a cache cannot hold; asked before anything is encoded.

    Args:
        class_names: The classes.
        sources: Where each instance was read from.

    Raises:
        SupportError: A text is too long, or all are.
    """
    for what, texts in (("class name", class_names), ("name of an instance", sources)):
        if longest := next((text for text in texts if len(text) > MAX_TEXT), None):
            raise SupportError(
                f"the {what} '{longest[:40]}...' has {len(longest)} characters, and a support cache holds {MAX_TEXT}",
                fix="give it a shorter name",
            )
    # As the file holds them: a text of JSON in a text of JSON, and of each instance the digest of its image.
    words = len(json.dumps(canonical_json([list(class_names), list(sources)]).decode(), ensure_ascii=False).encode())
    if len(sources) > MOST_INSTANCES or words + 48 * len(sources) > LARGEST_HEADER - _HEADER_ROOM:
        raise SupportError(
            f"a support cache cannot hold the names of {counted(len(sources), 'instance')}",
            fix="draw fewer with --shots",
        )


def float16_embeddings(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float16]:
    """Embeddings as a cache stores them.

    Raises:
        SupportError: A value is not finite, or too large for float16.
    """
    if not np.isfinite(values).all() or (values.size and np.abs(values).max() > _LARGEST_FLOAT16):
        raise SupportError(
            "an embedding holds a value that is not finite or too large for float16",
            fix="check the engine and the bundle",
        )
    return np.ascontiguousarray(values, np.float16)


def _check_part_fits(
    fits: PartFits | None,
    parts: tuple[str, ...],
    labels: npt.NDArray[np.integer],
    can_be_left_out: npt.NDArray[np.bool_],
    views: int,
) -> None:
    if fits is None:
        return
    codes = fits.codes(parts)
    for place, fit in enumerate(fits.parts):
        check_novelty(fit.novelty, can_be_left_out[codes == place])
        check_review(fit.review, len(np.unique(labels[codes == place])))
        if fit.schedule is not None and len(fit.schedule.order) != views:
            raise SupportError(f"the view schedule of the part '{fit.name}' is not for {counted(views, 'view')}")


def _check_adapter(adapter: Adapter | None, instances: int, channels: int) -> None:
    if adapter is None:
        return
    shapes = {"weight": (channels, channels), "bias": (channels,), "keys": (instances, channels)}
    for name, shape in shapes.items():
        values = getattr(adapter, name)
        # NaN is not within any bounds. The squares of larger values add up to infinity.
        if values.dtype != np.float32 or values.shape != shape or not (np.abs(values) <= _LARGEST_TUNED).all():
            raise SupportError(f"the adapter's {name} must be float32 {list(shape)} up to {_LARGEST_TUNED:g}")


def _adapter(tensors: dict[str, npt.NDArray[Any]], names: set[str]) -> Adapter | None:
    if not names & set(tensors):
        return None
    if not names <= set(tensors):
        raise SupportError("the adapter is not complete")
    return Adapter(**{name: np.ascontiguousarray(tensors[f"adapter.{name}"]) for name in _ADAPTER})


def _novelty(tensors: dict[str, npt.NDArray[Any]], fields: Fields) -> NoveltyCalibration | None:
    whitened = tensors.get(LEFT_OUT_WHITENED)
    described = "novelty" in fields.payload
    if (LEFT_OUT in tensors) != described or (whitened is not None and not described):
        raise SupportError("the left-out distances are not complete")
    if LEFT_OUT not in tensors:
        return None
    calibration = fields.object("novelty")
    rate = calibration.payload.get("reject_rate")
    return NoveltyCalibration(
        np.ascontiguousarray(tensors[LEFT_OUT]),
        None if rate is None else calibration.number("reject_rate", LOWEST_RATE, HIGHEST_RATE),
        None if whitened is None else np.ascontiguousarray(whitened),
    )


def _parts(tensors: dict[str, npt.NDArray[Any]], fields: Fields) -> dict[str, Any]:
    shape = tensors["embeddings"].shape
    if len(shape) != 3:
        return {}
    try:
        return read_parts(fields, tensors, shape[0], MOST_INSTANCES, shape[1])
    except UsageError as error:
        raise IntegrityError(error.what, where=fields.where, fix="calibrate again") from error


def _check_classes(
    names: tuple[str, ...], labels: npt.NDArray[np.integer], parts: tuple[str, ...], fits: PartFits | None
) -> None:
    """Checks the classes of a cache, and those of each part of one that has parts."""
    if not parts and fits is None:
        _check_names(names)
        _check_instances(names, labels)
        return
    _check_instances(names, labels)
    class_parts = check_parts(parts, fits, names, labels)
    for part in dict.fromkeys(class_parts):
        own = [place for place, of in enumerate(class_parts) if of == part]
        try:
            _check_names(tuple(names[place] for place in own))
        except SupportError as error:
            raise SupportError(f"part '{part}': {error.what}", fix=error.fix) from error


def _check_names(names: tuple[str, ...]) -> None:
    if len(set(names)) != len(names):
        raise SupportError("a class name occurs twice")
    if len(names) < 2:
        raise SupportError(
            f"there is {'only one class' if names else 'no class'}: a classifier needs at least two",
            fix="add labelled instances of another class",
        )


def _check_instances(names: tuple[str, ...], labels: npt.NDArray[np.integer]) -> None:
    if labels.min() < 0 or labels.max() >= len(names):
        raise SupportError(f"a label is outside the {counted(len(names), 'class')}")
    totals = np.bincount(labels, minlength=len(names))
    if missing := [name for name, total in zip(names, totals, strict=True) if not total]:
        raise SupportError(
            f"the class '{missing[0]}' has no instance", fix="add an instance of it, or leave the class out"
        )


def _view_plan(fields: Fields) -> ViewPlan | None:
    if fields.payload.get("view_plan") is None:
        return None
    try:
        return ViewPlan.from_dict(dict(fields.object("view_plan").payload))
    except IntegrityError:
        raise
    except MvrecEdgeError as error:
        raise IntegrityError(error.what, where=fields.where, fix="calibrate again") from error


def _region_input(fields: Fields) -> str:
    return fields.choice("region_input", *REGION_INPUTS, MIXED) if "region_input" in fields.payload else ""


def _schedule(fields: Fields, shape: tuple[int, ...]) -> ViewSchedule | None:
    if fields.payload.get("schedule") is None or len(shape) != 3:
        return None
    try:
        return ViewSchedule.from_fields(fields.object("schedule"), shape[1])
    except UsageError as error:
        raise IntegrityError(error.what, where=fields.where, fix="calibrate again") from error


def _tensor_bytes(tensors: dict[str, npt.NDArray[Any]]) -> Iterator[memoryview]:
    """What the digest of the description covers: the tensors in the order of their names."""
    return (np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8).data for name in sorted(tensors))
