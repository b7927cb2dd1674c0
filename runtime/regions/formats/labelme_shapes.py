"""What a shape of a labelme file draws, by its `shape_type`; programs that grew out of labelme have some more."""

from __future__ import annotations

import math
from typing import Any

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.formats.turning import refuse_turned, turns_in
from mvrec_edge.runtime.regions.shapes import BoxShape, CircleShape, DrawnShape, EncodedMaskShape, PolygonShape

__all__ = ["labelme_shape"]

# Their four points are those of the shape as it lies; an angle beside them repeats it.
_FOUR_CORNERS = ("rotation", "oriented_rectangle", "rotated_rectangle", "quadrilateral")
_SHOWN = 40
_LARGEST = 1e9


def labelme_shape(shape: dict[str, Any], source: str) -> DrawnShape:
    """The shape that an entry draws.

    Args:
        shape: The entry of the list `shapes`.
        source: Where it stands, for messages.

    Raises:
        AnnotationError: It has no area, or one that is not read.
    """
    kind = shape.get("shape_type") or "polygon"
    points = shape.get("points")
    if kind == "mask":
        (x1, y1), (x2, y2) = _pairs(points, source, (2,), "two corners")
        corners = [math.floor(value + 0.5) for value in (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))]
        return EncodedMaskShape(shape.get("mask"), (corners[0], corners[1], corners[2], corners[3]))
    if shape.get("mask") is not None:
        raise AnnotationError(
            f"the shape has a mask, but its type is '{str(kind)[:_SHOWN]}'", where=source, fix="draw it again"
        )
    if kind in _FOUR_CORNERS:
        return PolygonShape((_pairs(points, source, (4,), "four corners"),))
    refuse_turned({"direction": shape.get("direction"), **turns_in(shape)}, source)
    if kind == "polygon":
        return PolygonShape((points,))
    if kind == "rectangle":
        return _rectangle(_pairs(points, source, (2, 4), "two corners"))
    if kind == "circle":
        centre, edge = _pairs(points, source, (2,), "a centre and a point on the edge")
        return CircleShape(centre, math.dist(centre, edge))
    raise AnnotationError(
        f"the shape type '{str(kind)[:_SHOWN]}' has no area that could be read",
        where=source,
        fix="draw a polygon, a rectangle, a circle or a mask",
    )


def _rectangle(pairs: list[tuple[float, float]]) -> DrawnShape:
    """Two opposite corners, or in newer files all four, which may be turned."""
    columns, rows = {x for x, _ in pairs}, {y for _, y in pairs}
    if len(pairs) == 4 and (len(columns) > 2 or len(rows) > 2):
        return PolygonShape((pairs,))
    return BoxShape((min(columns), min(rows), max(columns), max(rows)))


def _pairs(points: Any, source: str, counts: tuple[int, ...], wanted: str) -> list[tuple[float, float]]:
    usable = isinstance(points, list) and len(points) in counts
    pairs: list[tuple[float, float]] = []
    for pair in points if usable else ():
        try:
            x, y = pair
            pairs.append((float(x), float(y)))
        except (TypeError, ValueError, OverflowError):
            usable = False
            break
    if not usable:
        raise AnnotationError(f"the shape needs {wanted}", where=source, fix="draw it again")
    # False for NaN as well.
    if not all(abs(value) < _LARGEST for pair in pairs for value in pair):
        what = "the shape has a coordinate that is not a usable number"
        raise AnnotationError(what, where=source, fix="draw it again")
    return pairs
