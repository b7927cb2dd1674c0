"""Lines of YOLO files that look like an outline, and are a box with more behind it: key points, or a tracker's id."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["not_an_outline"]

_TOLERANCE = 0.001
_ID = re.compile(r"\d+", re.ASCII)
_SEEN = (0, 1, 2)
# Key points are few, and an outline of few points does not cross itself so often.
_MOST_POINTS = 70
_CROSSINGS = 3
_ENOUGH_POINTS = 3
_POINTS_OF_TURNED_BOX = 4

_Point = tuple[float, float]


def not_an_outline(words: Sequence[str], values: Sequence[float]) -> tuple[str, str] | None:
    """What a line is that would be read as an outline, where it is a box with more behind it.

    A line of a tracker has six numbers: a box, a confidence from 0 to 1, and an id, written without a point.

    A line of key points is a box that lies in the image, and behind it points of two or three numbers, of which the
    third is from 0 to 1, or 2; a confidence and an id may follow. All points but those at 0 0, which are not there, lie
    in the box. A small outline may satisfy that by chance, as its points lie close together. So it is a line of
    key points only where one of these holds too: the width and height, taken as the second point of an outline, lie
    outside the box; the outline would cross itself at least three times; there are at least three points whose third
    numbers are all 0, 1 or 2. A parallelogram of four points is a turned box, and an outline whose last point is its
    first one is an outline, whatever else holds.

    Args:
        words: The numbers behind the class, as they are written.
        values: The same as numbers.

    Returns:
        What is wrong and what to do about it; None for an outline.
    """
    if len(values) <= 4 or not _is_box(values[:4]):
        return None
    if len(values) == 6 and _ID.fullmatch(words[-1]) is not None and 0 <= values[4] <= 1:
        return (
            "the line is a box with a confidence and the id of a tracker, or a triangle: this cannot be told",
            "cut off the last two numbers; of a triangle, write its first point once more at the end",
        )
    outline = list(zip(values[::2], values[1::2], strict=False))
    if outline[0] == outline[len(values) // 2 - 1] or _is_turned_box(outline):
        return None
    unlike = _outside(outline[1], values) or _crossings(outline) >= _CROSSINGS
    if any(_holds_points(values, end, unlike=unlike) for end in _ends(words, values)):
        return (
            "the line is a box with key points behind it, which are not read",
            "keep the class and the first four numbers; of an outline, write its first point once more at the end",
        )
    return None


def _ends(words: Sequence[str], values: Sequence[float]) -> list[int]:
    """Where the points may end: at the end of the line, before a confidence, or before a confidence and an id."""
    ends = [len(values)]
    if 0 <= values[-1] <= 1:
        ends.append(len(values) - 1)
    if _ID.fullmatch(words[-1]) is not None and 0 <= values[-2] <= 1:
        ends.append(len(values) - 2)
    return [end for end in ends if end > 4]


def _holds_points(values: Sequence[float], end: int, *, unlike: bool) -> bool:
    """Whether the box holds the points up to a place; `unlike`: whether the line is unlike an outline."""
    rest = values[4:end]
    # Behind points of two numbers Ultralytics writes a confidence as well; an id alone would be one number too many.
    if len(rest) % 2 == 0 and unlike and _inside(values, rest, 2):
        return True
    if len(rest) % 3 or any(not (0 <= flag <= 1 or flag == max(_SEEN)) for flag in rest[2::3]):
        return False
    flagged = len(rest) >= 3 * _ENOUGH_POINTS and all(flag in _SEEN for flag in rest[2::3])
    return (unlike or flagged) and _inside(values, rest, 3)


def _inside(box: Sequence[float], rest: Sequence[float], step: int) -> bool:
    """Whether all points that are there lie in the box, and there is one."""
    points = [point for point in zip(rest[::step], rest[1::step], strict=True) if point != (0, 0)]
    return bool(points) and not any(_outside(point, box) for point in points)


def _outside(point: _Point, box: Sequence[float]) -> bool:
    x, y, width, height = box[:4]
    return abs(point[0] - x) > width / 2 + _TOLERANCE or abs(point[1] - y) > height / 2 + _TOLERANCE


def _is_turned_box(outline: Sequence[_Point]) -> bool:
    if len(outline) != _POINTS_OF_TURNED_BOX:
        return False
    one, two, three, four = outline
    return all(abs(one[axis] + three[axis] - two[axis] - four[axis]) <= 2 * _TOLERANCE for axis in (0, 1))


def _crossings(outline: Sequence[_Point]) -> int:
    """How often the sides of an outline cross, up to what decides."""
    count = 0
    if len(outline) > _MOST_POINTS:
        return count
    sides = list(zip(outline, [*outline[1:], outline[0]], strict=True))
    for place, (one, two) in enumerate(sides):
        for three, four in sides[place + 2 :]:
            apart = _turn(one, two, three) * _turn(one, two, four) < 0
            count += apart and _turn(three, four, one) * _turn(three, four, two) < 0
        if count >= _CROSSINGS:
            break
    return count


def _turn(one: _Point, two: _Point, three: _Point) -> float:
    return (two[0] - one[0]) * (three[1] - one[1]) - (two[1] - one[1]) * (three[0] - one[0])


def _is_box(box: Sequence[float]) -> bool:
    x, y, width, height = box
    sides = (x - width / 2, y - height / 2, 1 - x - width / 2, 1 - y - height / 2)
    return width > 0 and height > 0 and min(sides) >= -_TOLERANCE
