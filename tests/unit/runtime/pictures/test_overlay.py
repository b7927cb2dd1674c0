"""Predictions drawn on an image."""

from __future__ import annotations

import numpy as np
import pytest

from mvrec_edge.runtime import Region
from mvrec_edge.runtime.pictures.overlay import (
    OverlayItem,
    _ascii,
    _free_place,
    _overlap,
    class_colour,
    draw_predictions,
)


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def region(height: int, width: int) -> Region:
    mask = np.zeros((height, width), np.uint8)
    mask[height // 3 : height // 2, width // 3 : width // 2] = 255
    return Region(mask)


def test_draws_in_the_class_colour_and_leaves_the_input_alone() -> None:
    image = grey(480, 640)
    picture = draw_predictions(image, [OverlayItem(region(480, 640), "crack", 0.97)])
    assert picture.shape == image.shape
    assert (image == 128).all()
    assert (picture == class_colour("crack")).all(axis=2).sum() > 500


def test_the_defect_itself_stays_visible() -> None:
    here = region(480, 640)
    picture = draw_predictions(grey(480, 640), [OverlayItem(here, "crack")])
    assert (picture[here.mask > 0] == 128).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 200), (64, 64), (321, 5000)])
def test_any_size_of_image(height: int, width: int) -> None:
    item = OverlayItem(Region.from_box((0, 0, width - 1, height - 1), (height, width)), "a long class name", 0.5)
    picture = draw_predictions(grey(height, width), [item])
    assert picture.shape[0] % height == 0
    assert min(picture.shape[:2]) >= 320
    assert picture.shape[0] // height == picture.shape[1] // width


def test_nothing_to_draw() -> None:
    np.testing.assert_array_equal(draw_predictions(grey(400, 500), []), grey(400, 500))


def test_hundreds_of_regions_in_a_corner() -> None:
    items = [OverlayItem(Region.from_box((n, n, n + 2, n + 2), (400, 400)), f"c{n % 9}", 0.1) for n in range(300)]
    assert draw_predictions(grey(400, 400), items).shape == (400, 400, 3)


def test_tags_keep_apart_where_there_is_room() -> None:
    first, second = (100, 100, 140, 140), (150, 100, 190, 140)
    taken = [first, second]
    places = []
    for box in (first, second):
        places.append(_free_place(box, (80, 20), (640, 480), taken))
        taken.append(places[-1])
    assert sum(_overlap(place, np.array([first, second])) for place in places) == 0
    assert _overlap(places[0], np.array(places[1:])) == 0


def test_a_tag_stays_inside_the_image() -> None:
    for box in [(0, 0, 5, 5), (630, 0, 639, 5), (0, 470, 5, 479), (630, 470, 639, 479)]:
        left, top, right, bottom = _free_place(box, (100, 30), (640, 480), [box])
        assert left >= 0
        assert top >= 0
        assert right < 640
        assert bottom < 480


def test_listed_classes_get_different_colours() -> None:
    classes = [f"class {n}" for n in range(7)]
    assert len({class_colour(name, classes) for name in classes}) == 7
    assert class_colour("other", classes) == class_colour("other")


@pytest.mark.parametrize(
    ("label", "text"),
    [("Bläschen", "Blaschen"), ("größe", "grosse"), ("crème", "creme"), ("裂纹", "\\u88c2\\u7eb9"), ("a\nb", "a b")],
)
def test_labels_in_other_letters(label: str, text: str) -> None:
    assert _ascii(label) == text


def test_a_very_long_label_is_cut() -> None:
    assert len(_ascii("x" * 500)) == 40
