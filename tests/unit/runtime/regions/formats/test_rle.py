"""Run-length masks: a round trip, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mvrec_edge.runtime.errors import AnnotationError
from mvrec_edge.runtime.regions.formats.rle import region_of_rle


def runs_of(mask: np.ndarray) -> list[int]:
    """The plain definition: down the columns, background first."""
    runs, value, length = [], False, 0
    for pixel in mask.T.ravel():
        if bool(pixel) != value:
            runs.append(length)
            value, length = not value, 0
        length += 1
    return [*runs, length]


def compressed(runs: list[int]) -> str:
    """The plain definition of the compressed text, one character after the other."""
    text = ""
    for place, run in enumerate(runs):
        number = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            group = number & 31
            number >>= 5
            more = number != (-1 if group & 16 else 0)
            text += chr(48 + group + (32 if more else 0))
    return text


def decode_rle(counts, size, source=None):
    return region_of_rle(counts, size, source=source).mask


masks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@settings(deadline=None, max_examples=50)
@given(masks)
def test_both_forms_give_the_mask_back(mask):
    runs = runs_of(mask)
    if not mask.any():
        with pytest.raises(AnnotationError, match="empty"):
            decode_rle(runs, mask.shape)
        return

    for counts in (runs, compressed(runs), compressed(runs).encode()):
        np.testing.assert_array_equal(decode_rle(counts, mask.shape), np.where(mask, 255, 0))


def test_long_runs_need_several_characters():
    mask = np.zeros((700, 900), np.bool_)
    mask[100:650, 3:890] = True

    np.testing.assert_array_equal(decode_rle(compressed(runs_of(mask)), mask.shape) > 0, mask)


def test_a_text_worked_out_by_hand():
    # Runs 6, 1, 40, 4, 5, 8: 40 is 01000 with the mark for more, then 1; 4 is stored as 4 - 1, 5 as 5 - 40 = -35.
    mask = decode_rle("61X13mN4", (8, 8))

    columns, rows = np.divmod(np.flatnonzero(mask.T), 8)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(6, 0)] + [
        (place % 8, place // 8) for place in [*range(47, 51), *range(56, 64)]
    ]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([3, 2], "add up to 2 x 3"),
        ([10, -4], "add up"),
        ([2**39, 2**39], "add up"),
        ([10**30], "whole numbers"),
        ([1.5, 4.5], "whole numbers"),
        ([True, 5], "whole numbers"),
        (["6"], "whole numbers"),
        ([], "neither a list nor a text"),
        (None, "neither a list nor a text"),
        ({"a": 1}, "neither a list nor a text"),
        ("", "character"),
        ("\n", "character"),
        ("é", "character"),
        ("P", "ends inside a number"),
        ("ooooooooo1", "too large"),
        ("22", "add up"),
    ],
)
def test_broken_runs_are_refused(counts, expected):
    with pytest.raises(AnnotationError, match=expected) as caught:
        decode_rle(counts, (2, 3), "a.json#2")
    assert caught.value.where == "a.json#2"
    assert caught.value.fix


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet=[chr(code) for code in range(48, 112)], max_size=60))
def test_any_text_is_decoded_or_refused(text):
    try:
        mask = decode_rle(text, (5, 7))
    except AnnotationError:
        return
    assert mask.shape == (5, 7)


@pytest.mark.parametrize("column", [0, 5, 19])
def test_a_box_beside_the_runs_is_kept(column):
    mask = np.zeros((30, 20), np.bool_)
    mask[2:30, column] = True

    region = region_of_rle(runs_of(mask), mask.shape, (1, 2, 9, 9), "dent", "a.json#0")

    assert (region.box, region.label, region.source) == ((1, 2, 9, 9), "dent", "a.json#0")
    assert region.origin == (column, 2)
    np.testing.assert_array_equal(region.mask > 0, mask)
