"""The lines of a YOLO label file: a class, and a box or an outline in shares of the image's width and height."""

from __future__ import annotations

import itertools
import re

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.formats.yolo_keypoints import not_an_outline
from mvrec_edge.runtime.regions.shapes import DrawnShape, NormalisedBoxShape, NormalisedPolygonShape
from mvrec_edge.runtime.regions.table_files import parse_number
from mvrec_edge.runtime.regions.tally import WarningTally

__all__ = ["looks_like_yolo", "yolo_shape"]

_CLASS = re.compile(r"\d{1,6}", re.ASCII)
_LINE = re.compile(r"\d{1,6}(\s+[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?){4,}", re.ASCII)
_LINES_LOOKED_AT = 5
_WORDS_LOOKED_AT = 40
# Programs round to four to six digits, so an edge may lie a little outside.
_TOLERANCE = 0.001


def looks_like_yolo(text: str) -> bool:
    """Whether one of the first lines of a text is a line of this format."""
    lines = itertools.islice((line.strip() for line in text.splitlines() if line.strip()), _LINES_LOOKED_AT)
    # Of an outline of many points, the first words.
    return any(_LINE.fullmatch(" ".join(line.split(maxsplit=_WORDS_LOOKED_AT)[:_WORDS_LOOKED_AT])) for line in lines)


def yolo_shape(line: str, source: str, tally: WarningTally) -> tuple[int, DrawnShape]:
    """The class and the shape of a line.

    `class x y width height` is a box, x and y being its centre; `class x1 y1 x2 y2 x3 y3 ...` an outline, of which a
    turned box is one with four points. One number more than that is the confidence of a detector.

    Args:
        line: The line.
        source: Where it stands, for messages.
        tally: Where it is noted that a line is a prediction.

    Raises:
        AnnotationError: It is neither, is a box with key points or a tracker's id, or has coordinates outside 0 to 1.
    """
    number, *words = line.split()
    if _CLASS.fullmatch(number) is None:
        raise AnnotationError(f"the class is not a number: '{number[:40]}'", where=source, fix="export it again")
    values = [parse_number(word, "a coordinate", source) for word in words]
    if len(values) < 4:
        raise AnnotationError(
            f"the line has {len(values)} numbers after its class", where=source, fix="give a box or an outline"
        )
    if (wrong := not_an_outline(words, values)) is not None:
        raise AnnotationError(wrong[0], where=source, fix=wrong[1])
    # An odd one: behind the four numbers of a box, or behind the pairs of an outline.
    if len(values) % 2:
        if not 0 <= values.pop() <= 1:
            raise AnnotationError(
                f"the line has {len(words)} numbers after its class, and the last one is no confidence",
                where=source,
                fix="give a box or an outline",
            )
        tally.add(
            "the line has a confidence: it is the prediction of a detector, whatever its confidence",
            source,
            "learn from labels, and leave out predictions of a low confidence",
        )
    if any(not -_TOLERANCE <= value <= 1 + _TOLERANCE for value in values):
        raise AnnotationError(
            "the line has a coordinate outside 0 to 1",
            where=source,
            fix="divide x by the image's width and y by its height",
        )
    if len(values) > 4:
        return int(number), NormalisedPolygonShape(tuple(zip(values[::2], values[1::2], strict=True)))
    x, y, width, height = values
    if width <= 0 or height <= 0:
        raise AnnotationError("the box has no area", where=source, fix="draw it again")
    return int(number), NormalisedBoxShape((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
