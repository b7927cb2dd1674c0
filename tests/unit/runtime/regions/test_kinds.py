"""Outlines, boxes and whole images, and the warning where they are mixed."""

from __future__ import annotations

import numpy as np
import pytest

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.regions.kinds import KindWatch, common_kind, describe_mixing

SIZE = (20, 30)
OUTLINE = Region.from_polygon([[1, 1], [9, 1], [9, 9]], SIZE, label="dent", source="a.json#0")
BOX = Region.from_box((1, 1, 9, 9), SIZE)
WHOLE = Region.full(SIZE)


def test_a_region_knows_what_its_mask_is():
    mask = np.zeros(SIZE, np.uint8)
    mask[2:5, 3:9] = 255

    assert [region.kind for region in (OUTLINE, BOX, WHOLE, Region(mask))] == ["mask", "box", "full", "mask"]
    assert (WHOLE.box, WHOLE.area) == ((0, 0, 29, 19), 600)


def test_a_region_is_told_as_less_and_keeps_its_box():
    box, whole = OUTLINE.told_as("box"), OUTLINE.told_as("full")

    assert (box.kind, box.box, box.area, box.label, box.source) == ("box", OUTLINE.box, 81, "dent", "a.json#0")
    assert (whole.kind, whole.box, whole.area, whole.label) == ("full", OUTLINE.box, 600, "dent")
    assert OUTLINE.told_as("mask") is OUTLINE
    assert BOX.told_as("box") is BOX
    with pytest.raises(UsageError, match="no region input 'outline'"):
        OUTLINE.told_as("outline")


def test_what_regions_have_in_common():
    assert common_kind([]) == ""
    assert common_kind([OUTLINE] * 4 + [BOX]) == "mask"
    assert common_kind([OUTLINE] * 3 + [BOX]) == "mixed"


@pytest.mark.parametrize(
    ("learned", "regions", "said"),
    [
        ("mask", [BOX], "learned from outlines, but the regions to classify are boxes (1 of 1 so far)"),
        ("box", [OUTLINE] * 9 + [BOX], "learned from boxes, but the regions to classify are outlines (9 of 10 so far)"),
        ("full", [OUTLINE], "give --input full"),
        ("box", [WHOLE], "calibrate with --input full"),
        ("mask", [OUTLINE], None),
        ("mask", [OUTLINE, BOX], "(1 of 2 so far)"),
        ("mask", [OUTLINE] * 9 + [BOX], None),
        ("mixed", [BOX], None),
        ("", [BOX], None),
        ("mask", [], None),
    ],
)
def test_another_kind_than_was_learned_from_is_told(learned, regions, said):
    warning = describe_mixing(learned, regions, "regions to classify")

    assert warning is None if said is None else warning is not None and said in warning


def test_it_is_told_once_and_as_soon_as_there_is_enough():
    watch = KindWatch("mask")

    assert watch.see([BOX] * 4) is None
    assert "5 of 5 so far" in str(watch.see([BOX]))
    assert watch.see([BOX]) is None
    assert watch.at_the_end() is None
