"""What an `object` of a Pascal VOC file draws: a box, or what other programs put beside it or in its place."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.formats.turning import is_turn, refuse_turned
from mvrec_edge.runtime.regions.shapes import BoxShape, DrawnShape, PolygonShape, rotated_corners
from mvrec_edge.runtime.regions.table_files import parse_number
from mvrec_edge.runtime.regions.tally import WarningTally

__all__ = ["voc_shape"]

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_MASKS = ("segm", "mask", "segmentation", "rle")
_NUMBERED = re.compile(r"([xy])(\d{1,6})")
_FULL_TURN = 360
_LARGEST = 1e6


def voc_shape(item: ElementTree.Element, source: str, tally: WarningTally) -> DrawnShape:
    """The shape of an object: its polygons, or else its turned box (roLabelImg, CVAT), or else its box.

    Args:
        item: The element `object`.
        source: Where it stands, for messages.
        tally: Where it is noted that a mask is not read.

    Raises:
        AnnotationError: It has no usable shape, several boxes, or one that is turned in a way that is not read.
    """
    polygons = item.findall("polygon")
    if polygons:
        return PolygonShape(tuple(_polygon(polygon, source) for polygon in polygons))
    for name in _MASKS:
        if item.find(name) is not None:
            tally.add(f"'{name}' is not read: the box counts", source, "give the outline as a polygon, labelme or COCO")
    turned = item.find("robndbox")
    if turned is not None:
        centre, size = ([_number(turned, name, source) for name in names] for names in (("cx", "cy"), ("w", "h")))
        return PolygonShape((rotated_corners(centre, size, _number(turned, "angle", source)),))
    boxes = item.findall("bndbox")
    if len(boxes) > 1:
        raise AnnotationError(f"the object has {len(boxes)} boxes", where=source, fix="make an object of each")
    for place in (item, *boxes):
        refuse_turned({child.tag: child.text for child in place if is_turn(child.tag)}, source)
    if (item.findtext("rotated") or "0").strip().lower() not in ("0", "false", "no", ""):
        raise AnnotationError("the box is said to be turned, but not how far", where=source, fix="give the outline")
    if not boxes:
        raise _unusable("xmin", source)
    x1, y1, x2, y2 = (_number(boxes[0], side, source) for side in _SIDES)
    rotation = _rotation(item, source)
    if rotation:
        corners = rotated_corners(((x1 + x2) / 2, (y1 + y2) / 2), (x2 - x1, y2 - y1), math.radians(rotation))
        return PolygonShape((corners,))
    return BoxShape((x1, y1, x2, y2))


def _polygon(polygon: ElementTree.Element, source: str) -> list[tuple[float, float]]:
    """Points `x1`, `y1`, `x2`, `y2` and so on, as Roboflow writes them, or elements `pt`, as LabelMe does."""
    points = polygon.findall("pt")
    if points:
        return [(_number(point, "x", source), _number(point, "y", source)) for point in points]
    places = {int(found[2]) for child in polygon if (found := _NUMBERED.fullmatch(child.tag)) is not None}
    return [(_number(polygon, f"x{place}", source), _number(polygon, f"y{place}", source)) for place in sorted(places)]


def _rotation(item: ElementTree.Element, source: str) -> float:
    """The angle by which CVAT turns a box, in degrees, clockwise."""
    for attribute in item.findall("attributes/attribute"):
        if (attribute.findtext("name") or "").strip() == "rotation":
            return _number(attribute, "value", source) % _FULL_TURN
    return 0.0


def _number(element: ElementTree.Element, name: str, source: str) -> float:
    try:
        number = parse_number(element.findtext(name) or "", name, source)
    except AnnotationError as error:
        raise _unusable(name, source) from error
    if abs(number) >= _LARGEST:
        raise _unusable(name, source)
    return number


def _unusable(name: str, source: str) -> AnnotationError:
    return AnnotationError(f"the box has no usable '{name}'", where=source, fix="draw it again")
