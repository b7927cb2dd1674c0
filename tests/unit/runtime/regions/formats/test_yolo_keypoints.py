"""Lines that are no outlines: a box with key points, or with a confidence and the id of a tracker."""

from __future__ import annotations

import math

import pytest

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.formats.yolo_lines import yolo_shape
from mvrec_edge.runtime.regions.shapes import NormalisedPolygonShape
from mvrec_edge.runtime.regions.tally import WarningTally

BOX = ".5 .5 .2 .2"
FACE = [(0.35, 0.25), (0.62, 0.7), (0.4, 0.72), (0.6, 0.28), (0.5, 0.5), (0.38, 0.6), (0.65, 0.4)]


def circle(x, y, radius, count):
    turns = [2 * math.pi * place / count for place in range(count)]
    return " ".join(f"{x + radius * math.cos(turn):.6g} {y + radius * math.sin(turn):.6g}" for turn in turns)


def refused(numbers):
    with pytest.raises(AnnotationError) as caught:
        yolo_shape(f"0 {numbers}", "a.txt#0", WarningTally())
    return caught.value


@pytest.mark.parametrize(
    "numbers",
    [
        f"{BOX} .45 .45 .55 .45 .5 .55",
        f"{BOX} .45 .45",
        f"{BOX} .45 .45 2",
        f"{BOX} .45 .45 1 .55 .45 1",
        f"{BOX} .45 .45 2 0 0 0 .5 .55 1",
        f"{BOX} .45 .45 .98 .55 .45 .31",
        f"{BOX} .45 .45 .98 .55 .45 .31 .87",
        f"{BOX} .45 .45 .98 .55 .45 .31 .87 12",
        f"{BOX} .45 .45 .55 .45 .87",
        ".5 .5 .6 .6 " + " ".join(f"{x} {y}" for x, y in FACE),
        ".5 .5 .6 .6 " + " ".join(f"{x} {y} 2" for x, y in FACE),
    ],
)
def test_key_points_are_refused(numbers):
    error = refused(numbers)

    assert error.what == "the line is a box with key points behind it, which are not read"
    assert error.fix.startswith("keep the class and the first four numbers")


@pytest.mark.parametrize("identity", ["0", "1", "7", "4711"])
def test_the_line_of_a_tracker_is_refused(identity):
    error = refused(f"{BOX} .9 {identity}")

    assert "the id of a tracker" in error.what


@pytest.mark.parametrize(
    "numbers",
    [
        ".5 .5 .52 .5 .51 .52",
        ".5 .5 .2 .2 .9 .7",
        ".5 .5 .2 .2 .9 1 .5 .5",
        ".3 .3 .19 .3 .25 .4 .3 .3",
        "0.46875 0.25 0.875 0.75 0.8625 0.766667 0.45625 0.266667",
        ".5 .4 .3 .5 .4 .6 .6 .5",
        ".1 .05 .12 .08 .09 .06 0 .05 .04 0",
        *(
            circle(x, y, radius, count)
            for x in (0.3, 0.5)
            for y in (0.3, 0.6)
            for radius in (0.01, 0.25)
            for count in (3, 8, 60)
        ),
    ],
)
def test_outlines_are_read(numbers):
    number, shape = yolo_shape(f"0 {numbers}", "a.txt#0", WarningTally())

    assert number == 0
    assert isinstance(shape, NormalisedPolygonShape)
