"""The exact resampling against Pillow itself, doing the two resizes of the released code."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from mvrec_edge.runtime import Region, ViewPlan, crop_views

PIL_Image = pytest.importorskip("PIL.Image", reason="Pillow is what the resampling is compared with")


def pillow_views(image: npt.NDArray[np.uint8], region: Region, plan: ViewPlan) -> npt.NDArray[np.int64]:
    views = []
    for window in plan.windows(region.box):
        planes = []
        for plane in (image, region.mask):
            crop = PIL_Image.fromarray(plane).crop(window)
            # One axis at a time, columns first: newer versions of Pillow begin with the rows where those shrink
            # more, which the version of the released code did not.
            for shape in ((512, crop.height), (512, 512), (plan.size, 512), (plan.size, plan.size)):
                crop = crop.resize(shape)
            planes.append(np.asarray(crop, np.int64).reshape(plan.size, plan.size, -1))
        views.append(np.concatenate(planes, axis=2))
    return np.stack(views)


def assert_equal(image: npt.NDArray[np.uint8], region: Region, plan: ViewPlan) -> None:
    np.testing.assert_array_equal(crop_views(image, region, plan), pillow_views(image, region, plan))


def hard_image(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Noise and hard black-and-white stripes: everything that overshoots and is clipped."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    y, x = np.mgrid[:height, :width]
    image[((x + 2 * y) // 7) % 3 == 0] = 255
    image[((3 * x - y) // 11) % 4 == 0] = 0
    return image


def diagonal_region(height: int, width: int) -> Region:
    mask = np.zeros((height, width), np.uint8)
    points = np.array([[0.3, 0.4], [0.62, 0.33], [0.7, 0.66], [0.45, 0.5]]) * (width, height)
    cv2.fillPoly(mask, [points.astype(np.int32)], (255,))
    mask[:: max(height // 9, 2), :: max(width // 7, 2)] = 255
    return Region(mask)


@pytest.mark.parametrize("name", ["mso", "mso_bbox"])
@pytest.mark.parametrize(("height", "width"), [(700, 900), (300, 200), (1, 1), (2, 700), (37, 41)])
def test_hard_edges_inside_and_outside_the_image(name: str, height: int, width: int) -> None:
    image = hard_image(height, width)
    region = diagonal_region(height, width)
    assert_equal(image, region, ViewPlan.by_name(name))


@pytest.mark.parametrize("box", [(0, 0, 3, 2), (690, 890, 699, 899), (0, 300, 1, 301)])
def test_windows_that_hang_far_over_the_edge(box: tuple[int, int, int, int]) -> None:
    image = hard_image(900, 700)
    assert_equal(image, Region.from_box(box, (900, 700)), ViewPlan.mso())


@pytest.mark.parametrize("size", [28, 224, 336, 512, 600])
def test_every_view_size(size: int) -> None:
    image = hard_image(500, 500)
    assert_equal(image, diagonal_region(500, 500), ViewPlan.by_name("ms", size=size))


@pytest.mark.parametrize("sizes", [(16, 17, 61), (128, 192, 256), (100, 512, 1000), (2047, 2048)])
def test_windows_of_other_sizes(sizes: tuple[int, ...]) -> None:
    image = hard_image(500, 600)
    assert_equal(image, diagonal_region(500, 600), ViewPlan.by_name("ms", size=96, window_sizes=sizes))


def test_windows_larger_than_a_band_of_rows() -> None:
    image = hard_image(1300, 1500)
    assert_equal(image, Region.from_box((100, 50, 1400, 1250), (1300, 1500)), ViewPlan.by_name("mso_bbox", size=64))


def test_pixels_that_lie_on_a_half() -> None:
    """Where a step of an odd height meets the middle of a kernel, a whole row of sums is a half, or nearly one."""
    image = np.zeros((512, 512, 3), np.uint8)
    image[:, 8::16] = image[8::16] = 255
    image[4::16, :, 1] = 129
    assert_equal(image, Region.from_box((250, 250, 262, 262), (512, 512)), ViewPlan.mso())
