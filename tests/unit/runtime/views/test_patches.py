"""What goes up in the place of views: patches, windows, and weights in parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvrec_edge.runtime import Region, ViewPlan
from mvrec_edge.runtime.errors import AnnotationError, ImageError
from mvrec_edge.runtime.views.kernels import integer_weights
from mvrec_edge.runtime.views.patches import (
    LARGEST_PATCH,
    LARGEST_WINDOW,
    PATCH_INPUTS,
    TAPS,
    PatchLimits,
    PatchViews,
    cut_patch,
    input_shapes,
    join_patches,
    part_patches,
    sums_are_exact,
    weight_parts,
)


def picture(height: int = 90, width: int = 120, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def patch_of(
    image: npt.NDArray[np.uint8], region: Region, plan: ViewPlan, views: list[int] | None = None
) -> PatchViews:
    patch = cut_patch(image, region, plan, views=views)
    assert patch is not None
    return patch


@settings(max_examples=20, deadline=None)
@given(st.integers(1, LARGEST_WINDOW))
def test_parts_make_up_the_weights_and_their_sums_are_exact(length: int) -> None:
    first, weights = weight_parts(length, 512)
    starts, integers = integer_weights(length, 512)
    np.testing.assert_array_equal(first, starts)
    np.testing.assert_array_equal(weights[:, :, [0, -1]], 0)
    assert weights.shape[2] <= TAPS + 2
    units = weights.astype(np.float64) * np.array([2**10, 2**12])[:, None, None]
    np.testing.assert_array_equal(units, np.rint(units))
    np.testing.assert_array_equal((units[0] * 2**12 + units[1])[:, 1:-1], integers)
    # No sum of bytes times either part leaves the whole numbers of float32, whatever the order.
    assert 255 * np.abs(units).sum(axis=2).max() < 2**24
    assert sums_are_exact(weights)
    # Inputs of 11 bits hold a part: TensorFloat-32, and float16.
    np.testing.assert_array_equal(weights, weights.astype(np.float16).astype(np.float32))


def test_a_patch_is_what_lies_under_the_windows_and_in_the_image() -> None:
    image = picture(300, 400)
    mask = np.zeros((300, 400), np.uint8)
    mask[40:60, 300:330] = 1
    region = Region(mask)
    plan = ViewPlan.by_name("none", size=32)
    ((x1, y1, x2, y2),) = plan.windows(region.box)
    patch = patch_of(image, region, plan)
    assert y1 < 0 < x1 < 400 < x2
    np.testing.assert_array_equal(patch.patch[:, :3], image[0:y2, x1:400].transpose(0, 2, 1))
    np.testing.assert_array_equal(patch.patch[:, 3], 255 * mask[0:y2, x1:400])
    assert patch.windows == ((0, y1, x2 - x1, y2),)


def test_an_image_whose_pixels_do_not_follow_one_another() -> None:
    image = picture()
    region = Region.from_box((20, 20, 40, 40), (90, 120))
    plan = ViewPlan.by_name("ms", size=32)
    wide = np.zeros((90, 120, 5), np.uint8)
    wide[..., 1:4] = image
    np.testing.assert_array_equal(patch_of(wide[..., 1:4], region, plan).patch, patch_of(image, region, plan).patch)


def test_some_views_take_a_smaller_patch_in_the_order_wanted() -> None:
    image, plan = picture(1200, 1200), ViewPlan.mso(size=32)
    region = Region.from_box((590, 590, 610, 610), (1200, 1200))
    whole, some = patch_of(image, region, plan), patch_of(image, region, plan, [13, 4])
    assert whole.patch.shape == (853, 4, 853)
    assert len(whole) == 27
    assert some.patch.shape == (384, 4, 384)
    assert [x2 - x1 for x1, _, x2, _ in some.windows] == [384, 256]
    assert len(whole[20:]) == 7


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (119, 89, 119, 89), (0, 0, 119, 89)])
def test_a_window_beyond_the_image_has_a_patch_all_the_same(box: tuple[int, int, int, int]) -> None:
    region = Region.from_box(box, (90, 120))
    for view in range(27):
        patch = patch_of(picture(), region, ViewPlan.by_name("mso_bbox", size=32), [view])
        assert min(patch.patch.shape) >= 1
        assert len(patch) == 1


@pytest.mark.parametrize(
    ("plan", "box", "size"),
    [
        (ViewPlan.mso(resample="fast"), (10, 10, 20, 20), (90, 120)),
        (ViewPlan.by_name("mf"), (10, 10, 20, 20), (90, 120)),
        (ViewPlan.by_name("mr"), (10, 10, 20, 20), (90, 120)),
        (ViewPlan.by_name("mso_bbox"), (0, 0, 1199, 500), (1200, 1200)),
        (ViewPlan.by_name("mso_bbox"), (0, 0, 1150, 2), (10, 1200)),
    ],
)
def test_what_is_left_to_crop_views(plan: ViewPlan, box: tuple[int, int, int, int], size: tuple[int, int]) -> None:
    assert cut_patch(picture(*size), Region.from_box(box, size), plan) is None


def test_a_window_may_be_twice_as_large_as_a_patch() -> None:
    box = (0, 0, LARGEST_PATCH - 1, LARGEST_PATCH - 1)
    region = Region.from_box(box, (LARGEST_PATCH, LARGEST_PATCH))
    patch = patch_of(picture(LARGEST_PATCH, LARGEST_PATCH), region, ViewPlan.by_name("mso_bbox"))
    assert patch.patch.shape == (LARGEST_PATCH, 4, LARGEST_PATCH)
    assert max(x2 - x1 for x1, _, x2, _ in patch.windows) > LARGEST_PATCH


def test_what_crop_views_refuses_is_refused() -> None:
    region = Region.from_box((10, 10, 20, 20), (90, 120))
    with pytest.raises(ImageError, match="uint8"):
        cut_patch(picture().astype(np.float32), region, ViewPlan.mso())  # type: ignore[arg-type]
    with pytest.raises(AnnotationError, match="belong together"):
        cut_patch(picture(91), Region.from_box((10, 10, 20, 20), (90, 120)), ViewPlan.mso())


def test_a_batch_shares_columns_and_weights() -> None:
    plan = ViewPlan.mso(size=32)
    regions = [Region.from_box((x, 20, x + 20, 40), (90, 120)) for x in (20, 70)]
    pieces = [patch_of(picture(), region, plan, list(range(9))) for region in regions]
    batch = join_patches(pieces)
    assert len(batch) == 18
    assert batch.patches.shape == (2, 4 * 96, 128)
    assert batch.taps.shape == (1, 2, 512, TAPS + 2)
    assert batch.column_patch.tolist() == [0, 0, 0, 1, 1, 1]
    assert batch.view_column.tolist() == [*[0, 1, 2] * 3, *[3, 4, 5] * 3]
    assert {value.dtype.name for value in batch.feeds().values()} == {"uint8", "float32", "int32"}
    # What is beyond a patch is black.
    padded = batch.patches.reshape(2, 96, 4, 128)
    assert padded[0, :90, :, :120].any()
    assert not padded[:, 90:].any()
    assert not padded[..., 120:].any()


def test_the_inputs_are_the_fields_of_a_batch() -> None:
    piece = patch_of(picture(), Region.from_box((20, 20, 40, 40), (90, 120)), ViewPlan.mso(size=32))
    batch = join_patches([piece])
    lengths = {"P": 1, "U": len(batch.column_patch), "T": len(batch.taps), "N": len(batch), "H": 96, "W": 128}
    shapes = input_shapes(lengths)
    assert [(name, value.dtype.name, value.shape) for name, value in batch.feeds().items()] == [
        (name, dtype, shapes[name]) for name, dtype, _ in PATCH_INPUTS
    ]


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=9), max_size=6),
    st.integers(1, 9),
    st.integers(1, 3),
    st.integers(1, 4),
)
def test_parts_keep_the_order_and_the_limits(
    regions: list[list[tuple[int, int]]], views: int, patches: int, columns: int
) -> None:
    pieces = [
        PatchViews(np.full((1, 4, 1), number, np.uint8), tuple((x, place, x + long, place + 1) for x, long in windows))
        for number, windows in enumerate(regions)
        for place in [7]
    ]
    parts = list(part_patches(pieces, PatchLimits(views, patches, columns)))
    assert [(int(piece.patch[0, 0, 0]), window) for part in parts for piece in part for window in piece.windows] == [
        (int(piece.patch[0, 0, 0]), window) for piece in pieces for window in piece.windows
    ]
    for part in parts:
        assert 1 <= sum(map(len, part)) <= views
        assert len(part) <= patches
        assert sum(len({(x1, x2) for x1, _, x2, _ in piece.windows}) for piece in part) <= columns


def test_patches_are_padded_to_the_next_of_some_sides() -> None:
    piece = patch_of(picture(300, 400), Region.from_box((200, 150, 220, 170), (300, 400)), ViewPlan.by_name("none"))
    assert piece.patch.shape == (256, 4, 256)
    for sides, side in (((256, 512), 256), ((200, 512), 512)):
        batch = join_patches([piece], sides)
        assert batch.patches.shape == (1, 4 * side, side)
        assert (len(batch.rows), len(batch.columns)) == (side, side)
        assert not batch.patches.reshape(side, 4, side)[256:].any()
