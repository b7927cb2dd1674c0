"""What an annotation of a COCO file draws: polygons, runs, or a box, which CVAT may turn."""

from __future__ import annotations

import math
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.formats.turning import refuse_turned, turns_in
from mvrec_edge.runtime.regions.shapes import (
    BoxShape,
    DrawnShape,
    PolygonShape,
    RleShape,
    check_pixels,
    rotated_corners,
)
from mvrec_edge.runtime.regions.tally import WarningTally

__all__ = ["coco_shape", "warn_of_shape"]

# Detectron2 writes how its boxes are meant; 1 is x, y, width, height in pixels.
_BOX_MODES = (None, 1, "XYWH_ABS", "BoxMode.XYWH_ABS")
_LARGEST = 1e9
_MOST_POLYGONS = 10_000
_FULL_TURN = 360


def coco_shape(entry: dict[str, Any], source: str) -> DrawnShape:
    """The shape of an annotation: its segmentation, or else its box.

    Args:
        entry: The annotation.
        source: Where it stands, for messages.

    Raises:
        AnnotationError: It has no shape, or one that is not read.
    """
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, dict):
        return RleShape(segmentation.get("counts"), segmentation.get("size"))
    if segmentation is not None and not isinstance(segmentation, list):
        raise AnnotationError("its segmentation is neither a list nor runs", where=source, fix="export it again")
    polygons = [flat for flat in segmentation or () if flat != []]
    if len(polygons) > _MOST_POLYGONS:
        what = f"its segmentation has {len(polygons)} polygons, more than {_MOST_POLYGONS}"
        raise AnnotationError(what, where=source, fix="simplify the outline")
    if polygons:
        return PolygonShape(tuple(_polygon(flat, source) for flat in polygons))
    refuse_turned(turns_in(entry), source)
    if entry.get("bbox_mode") not in _BOX_MODES:
        raise AnnotationError("its bbox_mode is not x, y, width, height", where=source, fix="export it again")
    return _box(entry.get("bbox"), _rotation(entry), source)


def warn_of_shape(entry: dict[str, Any], source: str, tally: WarningTally) -> None:
    """Notes what the fields of an annotation say against each other, where its segmentation is taken."""
    segmentation = entry.get("segmentation")
    if not segmentation or segmentation == [[]]:
        return
    if _rotation(entry) or any(turns_in(entry).values()):
        what = "it has a rotation beside its segmentation, which is taken as it stands"
        tally.add(what, source, "see with classify --overlay whether it is turned already")
    if isinstance(segmentation, list) and _lie_apart(segmentation, entry.get("bbox")):
        what = "its bbox and its segmentation lie apart; the segmentation counts"
        tally.add(what, source, "export it again, without scaling the images")


def _box(box: Any, rotation: float, source: str) -> DrawnShape:
    if isinstance(box, list) and len(box) == 5:
        raise AnnotationError(
            "its bbox has five numbers, so it is turned, by an angle that is not read here",
            where=source,
            fix="give the outline as its segmentation",
        )
    if not isinstance(box, list) or len(box) != 4:
        raise AnnotationError(
            "it has neither a segmentation nor a bbox of four numbers", where=source, fix="export it again"
        )
    if not all(_is_number(value) for value in box):
        raise AnnotationError("its bbox is not four usable numbers", where=source, fix="export it again")
    x, y, width, height = box
    check_pixels((x, y, x + width, y + height), source)
    if rotation:
        # Pixels are counted by their first edge, so the centre of what they cover lies half a pixel further.
        centre = (x + width / 2 - 0.5, y + height / 2 - 0.5)
        return PolygonShape((rotated_corners(centre, (width - 1, height - 1), math.radians(rotation)),))
    # The pixels that the box touches: it ends where the last of them ends.
    return BoxShape((math.floor(x), math.floor(y), math.ceil(x + width) - 1, math.ceil(y + height) - 1))


def _rotation(entry: dict[str, Any]) -> float:
    """The angle by which CVAT turns a box, in degrees, clockwise."""
    attributes = entry.get("attributes")
    angle = attributes.get("rotation") if isinstance(attributes, dict) else None
    return angle % _FULL_TURN if isinstance(angle, int | float) and _is_number(angle) else 0.0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _lie_apart(polygons: list[Any], box: Any) -> bool:
    """Whether a box and polygons, where both are usable, have nothing in common."""
    values = [flat for flat in polygons if isinstance(flat, list) and all(map(_is_number, flat))]
    columns, rows = ([value for flat in values for value in flat[axis::2]] for axis in (0, 1))
    if not columns or not rows or not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return False
    x, y, width, height = box
    if width <= 0 or height <= 0:
        return False
    return bool(max(columns) < x or x + width < min(columns) or max(rows) < y or y + height < min(rows))


def _polygon(flat: Any, source: str) -> list[list[Any]]:
    if not isinstance(flat, list) or len(flat) % 2:
        raise AnnotationError("a polygon is not a list x1, y1, x2, y2 and so on", where=source, fix="export it again")
    return [flat[place : place + 2] for place in range(0, len(flat), 2)]
