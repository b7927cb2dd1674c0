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


PAPER = (256, 384, 512)


@pytest.mark.parametrize("name", RECIPES)
def test_the_papers_sizes_give_the_papers_plan(name: str) -> None:
    plan = ViewPlan.by_name(name)
    if plan.of_box:
        return
    same = ViewPlan.by_name(name, window_sizes=PAPER[: len(plan.scales)])
    assert same == plan
    assert json.dumps(same.to_dict()) == json.dumps(plan.to_dict())
    assert set(plan.reductions) == {1}


def test_the_plan_of_the_paper_is_stored_as_it_always_was() -> None:
    assert json.dumps(ViewPlan.mso().to_dict()) == (
        '{"name": "mso", "scales": [256, 384, 512], "of_box": false, "shifts": [-1, 0, 1], "rotations": [0], '
        '"flips": ["none"], "size": 224, "resample": "exact"}'
    )


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(("ms", "mso", "msr", "msf")),
    st.sets(st.integers(16, 16384), min_size=1, max_size=5).map(sorted),
)
def test_any_sizes_have_the_views_of_their_recipe_and_a_round_trip(name: str, sizes: list[int]) -> None:
    plan = ViewPlan.by_name(name, window_sizes=sizes)
    assert plan.count == len(plan.views) == len(sizes) * COUNTS[name] // 3
    assert plan.with_window_sizes(PAPER) == ViewPlan.by_name(name)
    assert ViewPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert len(plan.centred) == len(sizes)
    assert f"windows of {', '.join(map(str, sizes))} px" in str(plan)


@settings(max_examples=50, deadline=None)
@given(st.integers(-500, 5000), st.integers(-500, 5000), st.sampled_from((0.0625, 0.25, 0.5, 2.0, 4.0, 16.0, 32.0)))
def test_scaled_windows_are_those_of_a_scaled_image(x: int, y: int, factor: float) -> None:
    plan = ViewPlan.mso()
    scaled = plan.with_window_sizes([int(size * factor) for size in PAPER])
    box = np.array((x, y, x, y))
    here = (np.array(plan.windows(tuple(box))) - box) * factor
    there = np.array(scaled.windows(tuple(box))) - box
    # Whole pixels, and blocks where windows are averaged first.
    tolerance = np.array(scaled.reductions)[:, None] + 1 + factor
    assert (np.abs(there - here) <= tolerance).all()


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("mso_bbox", (128,), "follow the box of each defect"),
        ("none", (128, 256), "'none' has windows of one size, and 2 sizes are given"),
        ("mor", (128, 192, 256), "'mor' has windows of one size, and 3 sizes are given"),
        ("mso", (256, 128), "must increase"),
        ("mso", (8,), "from 16 to 16384, not 8"),
    ],
)
def test_sizes_that_a_recipe_does_not_take_are_refused(name: str, sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ViewPlan.by_name(name, window_sizes=sizes)
