"""The parts of a support cache as its file holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import SupportError
from mvrec_edge.runtime.files.json_documents import Fields
from mvrec_edge.runtime.regions.kinds import MIXED
from mvrec_edge.runtime.regions.region import REGION_INPUTS
from mvrec_edge.runtime.support.head_settings import HeadSettings
from mvrec_edge.runtime.support.novelty_calibration import NoveltyCalibration
from mvrec_edge.runtime.support.part_fit import LONGEST_PART, MOST_PARTS, PartFit, PartFits
from mvrec_edge.runtime.support.reject_rate import HIGHEST_RATE, LOWEST_RATE
from mvrec_edge.runtime.support.review_limits import ReviewLimits
from mvrec_edge.runtime.views.schedule import ViewSchedule

__all__ = ["LEFT_OUT", "LEFT_OUT_WHITENED", "described_parts", "novelty_of_parts", "read_parts"]

#: The tensor of the left-out distances of all instances.
LEFT_OUT = "novelty.left_out"
#: The tensor of what was measured of them in the whitened metric.
LEFT_OUT_WHITENED = "novelty.left_out_whitened"

# Fields of `NoveltyCalibration` with a row for each instance; `novelty.NAME` is the tensor of each.
_OF_INSTANCES = ("left_out", "left_out_whitened")

_LARGEST_SEED = 1 << 63


def described_parts(fits: PartFits, class_parts: tuple[str, ...]) -> dict[str, Any]:
    """What a file says of its parts, in plain JSON types: the part of an instance is that of its class."""
    return {
        "of_classes": list(class_parts),
        "head": fits.head.to_dict(),
        "fits": [_described(each) for each in fits.parts],
    }


def novelty_of_parts(parts: tuple[str, ...], fits: PartFits | None) -> dict[str, npt.NDArray[np.float32]]:
    """What was measured of the instances of all parts, as tensors; NaN for those of parts that have none."""
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    if fits is None:
        return tensors
    codes = fits.codes(parts)
    for name in _OF_INSTANCES:
        for place, each in enumerate(fits.parts):
            values = None if each.novelty is None else getattr(each.novelty, name)
            if values is not None:
                shape = (len(parts), *values.shape[1:])
                whole = tensors.setdefault(f"novelty.{name}", np.full(shape, np.nan, np.float32))
                whole[codes == place] = values
    return tensors


def _described(fit: PartFit) -> dict[str, Any]:
    described = fit.to_dict()
    if fit.novelty is not None:
        measured = [name for name in _OF_INSTANCES if getattr(fit.novelty, name) is not None]
        described["novelty"] = {"reject_rate": fit.novelty.reject_rate, "measured": measured}
    return described


def read_parts(
    fields: Fields, tensors: dict[str, npt.NDArray[Any]], instances: int, most: int, views: int
) -> dict[str, Any]:
    """Reads what `described_parts` and `novelty_of_parts` gave, trusting none of it.

    Args:
        fields: The description of a cache.
        tensors: The tensors of its file.
        instances: Number of its instances NK, which its labels must have.
        most: The most classes there may be.
        views: The most views there may be.

    Returns:
        `parts` and `part_fits` of the cache.

    Raises:
        IntegrityError: A field is missing, of another type, or out of bounds.
        SupportError: The labels do not lead to parts, or the distances are not there.
        UsageError: A schedule is no order of views.
    """
    described = fields.object("parts")
    of_classes = described.texts("of_classes", most=most)
    labels = tensors["labels"]
    if labels.shape != (instances,) or not np.issubdtype(labels.dtype, np.integer):
        raise SupportError(f"labels must be {instances} whole numbers")
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < len(of_classes):
        raise SupportError("a label leads to no part")
    parts = tuple(of_classes[label] for label in labels.tolist())
    fits = []
    named = np.array(of_classes, np.object_)
    for each in described.objects("fits", most=MOST_PARTS):
        name = each.text("name", longest=LONGEST_PART)
        # By classes, of which there are fewer than instances.
        own = np.asarray(named == name, np.bool_)[labels]
        fits.append(_fit(each, name, _novelty(each, tensors, own), views))
    return {"parts": parts, "part_fits": PartFits(tuple(fits), HeadSettings.from_fields(described.object("head")))}


def _novelty(
    fields: Fields, tensors: dict[str, npt.NDArray[Any]], own: npt.NDArray[np.bool_]
) -> NoveltyCalibration | None:
    if "novelty" not in fields.payload:
        return None
    described = fields.object("novelty")
    measured = described.texts("measured", most=len(_OF_INSTANCES))
    rows: dict[str, Any] = {}
    for name in measured:
        values = tensors.get(f"novelty.{name}")
        if name not in _OF_INSTANCES or values is None or values.dtype != np.float32 or values.shape[:1] != own.shape:
            raise SupportError("the left-out distances are not complete")
        rows[name] = np.ascontiguousarray(values[own])
    if "left_out" not in rows:
        raise SupportError("the left-out distances are not complete")
    rate = described.payload.get("reject_rate")
    rate = None if rate is None else described.number("reject_rate", LOWEST_RATE, HIGHEST_RATE)
    return NoveltyCalibration(**rows, reject_rate=rate)


def _fit(fields: Fields, name: str, novelty: NoveltyCalibration | None, views: int) -> PartFit:
    has_input = "region_input" in fields.payload
    return PartFit(
        name=name,
        head=HeadSettings.from_fields(fields.object("head")),
        schedule=ViewSchedule.from_fields(fields.object("schedule"), views) if "schedule" in fields.payload else None,
        novelty=novelty,
        shots=fields.optional_integer("shots", 1, 1 << 20),
        seed=fields.optional_integer("seed", 0, _LARGEST_SEED),
        region_input=fields.choice("region_input", *REGION_INPUTS, MIXED) if has_input else "",
        review=ReviewLimits.from_fields(fields.object("review")) if "review" in fields.payload else None,
    )
