"""View plans: counts, order, windows, and a round trip that trusts nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime import ViewPlan
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.views.plan import FLIPS, RECIPES

COUNTS = {
    "none": 1,
    "ms": 3,
    "mo": 9,
    "mr": 4,
    "mf": 5,
    "mso": 27,
    "msr": 12,
    "msf": 15,
    "mor": 36,
    "mso_bbox": 27,
}


@pytest.mark.parametrize("name", RECIPES)
def test_counts_names_and_round_trip(name: str) -> None:
    plan = ViewPlan.by_name(name, size=112, resample="fast")
    assert plan.count == len(plan.views) == len(plan.windows((10, 20, 110, 80))) == COUNTS[name]
    assert ViewPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert f"{name}: {plan.count} view{'' if plan.count == 1 else 's'} of 112 px" in str(plan)


def test_the_default_is_exact_mso_at_224() -> None:
    plan = ViewPlan.mso()
    assert (plan.size, plan.resample, plan.centred) == (224, "exact", (4, 13, 22))


def test_order_is_size_then_rows_then_columns() -> None:
    views = ViewPlan.mso().views
    assert [(view.scale, view.dy, view.dx) for view in views[:10]] == [
        (256, -1, -1),
        (256, -1, 0),
        (256, -1, 1),
        (256, 0, -1),
        (256, 0, 0),
        (256, 0, 1),
        (256, 1, -1),
        (256, 1, 0),
        (256, 1, 1),
        (384, -1, -1),
    ]


def test_windows_follow_python_integer_division() -> None:
    windows = ViewPlan.mso().windows((100, 200, 151, 261))
    # Centre (125, 230); 256 // 3 is 85, and -256 // 3 is -86.
    assert windows[0] == (125 - 86 - 128, 230 - 86 - 128, 125 - 86 + 128, 230 - 86 + 128)
    assert windows[4] == (-3, 102, 253, 358)
    assert windows[8] == (125 + 85 - 128, 230 + 85 - 128, 125 + 85 + 128, 230 + 85 + 128)


def test_box_windows_follow_the_box() -> None:
    windows = ViewPlan.by_name("mso_bbox").windows((100, 200, 200, 260))
    widths = [window[2] - window[0] for window in windows]
    heights = [window[3] - window[1] for window in windows]
    assert widths == pytest.approx([100] * 9 + [150] * 9 + [200] * 9, abs=2)
    assert heights == pytest.approx([60] * 9 + [90] * 9 + [120] * 9, abs=2)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted(RECIPES)),
    st.integers(-500, 5000),
    st.integers(-500, 5000),
    st.integers(0, 3000),
    st.integers(0, 3000),
)
def test_windows_have_area_and_lie_around_the_box(name: str, x: int, y: int, width: int, height: int) -> None:
    plan = ViewPlan.by_name(name)
    windows = np.array(plan.windows((x, y, x + width, y + height)))
    assert (windows[:, 2:] > windows[:, :2]).all()
    for index in plan.centred:
        middle = (windows[index, :2] + windows[index, 2:]) / 2
        assert np.abs(middle - (x + width / 2, y + height / 2)).max() <= 2


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 4000), st.integers(0, 4000), st.integers(1, 50))
def test_windows_move_with_the_box(x: int, y: int, shift: int) -> None:
    plan = ViewPlan.mso()
    here = np.array(plan.windows((x, y, x + 40, y + 30)))
    there = np.array(plan.windows((x + shift, y + 2 * shift, x + 40 + shift, y + 30 + 2 * shift)))
    np.testing.assert_array_equal(there - here, np.tile((shift, 2 * shift), (27, 2)))


def test_flips_and_rotations_are_what_their_names_say() -> None:
    pixels = np.arange(2 * 2 * 4, dtype=np.uint8).reshape(2, 2, 4)
    turned = {view.flip: view.turn(pixels)[..., 0].tolist() for view in ViewPlan.by_name("mf").views}
    assert turned == {
        "none": [[0, 4], [8, 12]],
        "horizontal": [[4, 0], [12, 8]],
        "vertical": [[8, 12], [0, 4]],
        "anti-diagonal": [[12, 4], [8, 0]],
        "diagonal": [[0, 8], [4, 12]],
    }
    assert tuple(turned) == FLIPS
    quarter = ViewPlan.by_name("mr").views[1]
    assert quarter.rotation == 90
    assert quarter.turn(pixels)[..., 0].tolist() == [[4, 12], [0, 8]]


@pytest.mark.parametrize(
    "changes",
    [
        {"resample": "magic"},
        {"size": 0},
        {"size": 1 << 20},
        {"size": True},
        {"size": 224.0},
        {"scales": []},
        {"scales": [0]},
        {"scales": [1e9]},
        {"scales": [256.5]},
        {"scales": ["256"]},
        {"scales": [float("nan")]},
        {"scales": 256},
        {"scales": [256] * 2000},
        {"shifts": [2]},
        {"rotations": [45]},
        {"flips": ["sideways"]},
        {"flips": [["none"]]},
        {"of_box": 1},
        {"name": None},
        {"extra": 1},
    ],
)
def test_a_forged_plan_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ViewPlan.from_dict({**ViewPlan.mso().to_dict(), **changes})


def test_a_missing_field_is_refused() -> None:
    payload = ViewPlan.mso().to_dict()
    del payload["size"]
    with pytest.raises(UsageError, match="lacks a field"):
        ViewPlan.from_dict(payload)


@pytest.mark.parametrize("payload", [None, 5, [], "mso"])
def test_what_is_no_mapping_is_refused(payload: object) -> None:
    with pytest.raises(UsageError, match="mapping"):
        ViewPlan.from_dict(payload)  # type: ignore[arg-type]


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="mso_bbox"):
        ViewPlan.by_name("panorama")
