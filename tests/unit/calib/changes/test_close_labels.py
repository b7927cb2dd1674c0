"""Which class names may be slips for which."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvrec_edge.calib.changes.close_labels import close_label

TILES = ("MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Uneven")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("MT_break", "MT_Break"),
        ("mt break", "MT_Break"),
        ("MT-Break ", "MT_Break"),
        ("MTBreak", "MT_Break"),
        ("MT_Braek", "MT_Break"),
        ("MT_Brek", "MT_Break"),
        ("MT_Breaks", "MT_Break"),
        ("MT_Blow_Hole", "MT_Blowhole"),
        ("MT_Unevne", "MT_Uneven"),
        ("MT_Frey", "MT_Fray"),
    ],
)
def test_a_slip_is_recognised(typed: str, meant: str) -> None:
    assert close_label(typed, TILES) == meant


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("MT_Break", TILES),
        ("MT_Scratch", TILES),
        ("rust", TILES),
        ("pin", ("pit", "dent")),
        ("c2", ("c0", "c1")),
        ("scratch 12", ("scratch 11", "scratch 1")),
        ("poke2", ("poke",)),
        ("type B", ("type A",)),
        ("broken_large", ("broken_small",)),
        ("scratch_head", ("scratch_neck",)),
        ("cut_inner_insulation", ("cut_outer_insulation",)),
        ("", ("a",)),
        ("anything", ()),
    ],
)
def test_another_class_is_none(name: str, known: tuple[str, ...]) -> None:
    assert close_label(name, known) is None


def test_the_nearest_is_named() -> None:
    assert close_label("scratchs", ("scrotchy", "scratch")) == "scratch"


def test_two_encodings_of_one_letter_are_alike() -> None:
    name = "Stoß über Kante é"
    assert close_label(unicodedata.normalize("NFD", name), [unicodedata.normalize("NFC", name)]) is not None


@given(st.text(max_size=12), st.text(max_size=12))
def test_it_is_the_same_both_ways(first: str, second: str) -> None:
    assert (close_label(first, [second]) is None) == (close_label(second, [first]) is None)
