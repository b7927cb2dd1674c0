"""A record out of a results file, checked before a page shows it."""

from __future__ import annotations

import sys
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError

__all__ = ["check_record"]

_FARTHEST = 1_000_000
_MOST_CLASSES = 10_000
_MOST_NEAREST = 1000
_STAGES = ("crop", "encode", "classify")


def check_record(record: Any, where: str) -> dict[str, Any]:
    """Checks the record of a region; fields that older versions did not write are filled in.

    Args:
        record: What one line of a results file holds, parsed.
        where: The line, for messages.

    Returns:
        The record with every field that a page shows, of the types of `Prediction.to_record`.

    Raises:
        AnnotationError: It is no record of a region.
    """
    if not isinstance(record, dict):
        raise _broken("it is no JSON object", where)
    checked = dict(record)
    _texts(checked, where)
    box = checked.get("box")
    if not isinstance(box, list) or len(box) != 4 or not all(_whole(side) and abs(side) < _FARTHEST for side in box):
        raise _broken("its box is not four whole numbers", where)
    for name in ("area", "views"):
        if not _whole(checked.setdefault(name, 0)):
            raise _broken(f"'{name}' is not a whole number", where)
    checked["probabilities"] = _probabilities(checked, where)
    checked["nearest"] = [_neighbour(item, where) for item in _listed(checked.get("nearest"), where)]
    times = checked.get("ms")
    times = times if isinstance(times, dict) else {}
    checked["ms"] = {stage: float(times[stage]) if _number(times.get(stage)) else 0.0 for stage in _STAGES}
    return checked


def _texts(record: dict[str, Any], where: str) -> None:
    for name in ("image", "label"):
        if not isinstance(record.get(name), str):
            raise _broken(f"'{name}' is not a text", where)
    for name in ("annotated", "source", "region", "mask"):
        if record.setdefault(name, None) is not None and not isinstance(record[name], str):
            raise _broken(f"'{name}' is neither a text nor null", where)


def _probabilities(record: dict[str, Any], where: str) -> dict[str, float]:
    found = record.get("probabilities")
    if not isinstance(found, dict) or len(found) > _MOST_CLASSES:
        raise _broken("it has no probabilities", where)
    if not all(_number(value) and 0 <= value <= 1 for value in found.values()):
        raise _broken("a probability does not lie between 0 and 1", where)
    return {name: float(value) for name, value in found.items()}


def _listed(found: Any, where: str) -> list[Any]:
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > _MOST_NEAREST:
        raise _broken("'nearest' is not a list", where)
    return found


def _neighbour(item: Any, where: str) -> dict[str, Any]:
    if isinstance(item, dict) and _number(item.get("similarity")):
        label, source = item.get("label"), item.get("source")
        if isinstance(label, str) and isinstance(source, str):
            return {"label": label, "source": source, "similarity": float(item["similarity"])}
    raise _broken("a nearest support instance has no label, source and similarity", where)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    # Compared and not converted: a whole number may be too large for a float.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _broken(what: str, where: str) -> AnnotationError:
    return AnnotationError(f"is not the record of a region: {what}", where=where, fix="give a file of 'classify --out'")
