"""Counts of the closing lines."""

from __future__ import annotations

from mvrec_edge.cli.tally import Tally, class_title


def test_images_without_a_region_are_told_from_those_with_one() -> None:
    tally = Tally()
    assert (tally.places(), tally.ranked()) == ("0 regions on 0 images", "")
    tally.add_region("a", "dent", unknown=False)
    tally.add_region("a", "unknown", unknown=False)
    assert tally.places() == "2 regions on 1 image"
    tally.images.add("b")
    assert tally.places() == "2 regions on 1 of 2 images"
    tally.add_region("b", "unknown", unknown=True)
    assert tally.places() == "3 regions on 2 images"
    assert tally.ranked() == "dent 1, the class unknown 1, unknown 1"


def test_what_a_human_looks_at_is_counted_where_it_is_said() -> None:
    tally = Tally()
    tally.add_region("a", "dent", unknown=False)
    assert tally.for_review() == ""
    for place in range(220):
        tally.add_region("a", "dent", unknown=False, review=place < 12)
    assert tally.for_review() == "; to be looked at by a human: 12 of 220 (5.5%), and 1 other region without a limit"
    only = Tally()
    only.add_region("a", "dent", unknown=False, review=True)
    assert only.for_review() == "; to be looked at by a human: 1 of 1 (100.0%)"


def test_a_copy_counts_on_alone() -> None:
    first = Tally()
    first.add_region("a", "dent", unknown=False)
    second = first.copy()
    second.add_region("b", "dent", unknown=False)
    assert (first.places(), first.ranked()) == ("1 region on 1 image", "dent 1")
    assert (second.places(), second.ranked()) == ("2 regions on 2 images", "dent 2")


def test_many_classes_are_summed_up() -> None:
    tally = Tally()
    for number in range(25):
        tally.add_region("a", f"class {number}", unknown=False)
    assert tally.ranked().endswith("class 19 1, 5 other classes 5")


def test_classes_of_parts_are_named_with_their_part() -> None:
    assert class_title("knob", "dent", unknown=False) == "knob/dent"
    assert class_title(None, "dent", unknown=False) == "dent"
    assert class_title("knob", "unknown", unknown=True) == "unknown"
