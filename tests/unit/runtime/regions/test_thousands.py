"""Numbers that may be thousands or fractions."""

from __future__ import annotations

import pytest

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.regions.thousands import refuse_thousands

NAMES = ("x1", "y1", "x2", "y2")


def refuse(path, *boxes, decimal_comma, sized=False):
    rows = [(f"t.csv#{number}", list(zip(NAMES, box.split(), strict=True))) for number, box in enumerate(boxes)]
    refuse_thousands(rows, path, decimal_comma=decimal_comma, sized=sized)


@pytest.mark.parametrize(
    "box",
    [
        "1.234 1.100 1.300 1.200",
        "1,234 1,100 1,300 1,200",
        "1,234 700 1,300 900",
        "900 700 1.300 900",
        "+1.234 700 1300 900",
        # The comma may be either where fractions have a point.
        "12.5 1,100 30.5 1,200",
        "12.500 130.250 40.125 180.000",
        "1.234.567 1 1.234.600 9",
    ],
)
def test_between_semicolons_all_in_groups_of_three_is_refused(tmp_path, box):
    with pytest.raises(InputError, match=r"of t.csv#1 is '.*thousands or fractions") as caught:
        refuse(tmp_path, "1 2 9 9", box, decimal_comma=True)

    assert "without a separator" in str(caught.value)


@pytest.mark.parametrize(
    "boxes",
    [
        ["1 2 9 9"],
        ["1.5 2 9 9"],
        ["1.234 2.5 9.125 9.375"],
        ["0.500 2.125 9.375 9.125"],
        ["1.234 2.125 9.375 9.125", "1250.500 2.125 1300.125 9.125"],
        ["1.234 2 x 9", "1.5 2 9 9"],
        [],
    ],
)
@pytest.mark.parametrize("decimal_comma", [True, False])
def test_one_number_that_is_no_thousand_shows_that_all_are_fractions(tmp_path, boxes, decimal_comma):
    assert refuse(tmp_path, *boxes, decimal_comma=decimal_comma) is None


def test_between_commas_three_digits_are_a_fraction_where_boxes_have_a_size(tmp_path):
    tiny = "12.500 30.125 12.750 30.250"

    assert refuse(tmp_path, "12.500 130.250 40.125 180.000", decimal_comma=False) is None
    assert refuse(tmp_path, "12.500 130.250 40.125 180.000", "5.125 6 90 90", tiny, decimal_comma=False) is None
    assert refuse(tmp_path, "12.500 130.250 40.125 18.000", decimal_comma=False, sized=True) is None
    for box in ("1.234 1.100 1.300 1.200", "900 700 1.300 900", tiny):
        with pytest.raises(InputError, match="thousands or fractions"):
            refuse(tmp_path, box, decimal_comma=False)
    with pytest.raises(InputError, match="thousands or fractions"):
        refuse(tmp_path, "1.234 1.100 1.300 1.200", decimal_comma=False, sized=True)
