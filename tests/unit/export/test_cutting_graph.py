"""The graph that cuts views gives the very bits of `crop_views`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the export stage needs PyTorch")
onnxruntime = pytest.importorskip("onnxruntime", reason="it runs the graphs")

from mvrec_edge.export.graph import OPSET  # noqa: E402
from mvrec_edge.export.joined_graphs import cutting_model  # noqa: E402
from mvrec_edge.runtime import Region, ViewPlan, crop_views  # noqa: E402
from mvrec_edge.runtime.bundle.screen import screen_onnx  # noqa: E402
from mvrec_edge.runtime.errors import EnvironmentUnfitError  # noqa: E402
from mvrec_edge.runtime.views.patches import LARGEST_WINDOW, PatchViews, cut_patch, join_patches  # noqa: E402

SIZE = 48
#: What TensorRT's parser is known to take of a graph of opset 18, with the types that are here.
OPERATORS = {
    *("Add", "Cast", "Clip", "Concat", "Floor", "Gather", "MatMul", "Mul"),
    *("Reshape", "Split", "Sub", "Transpose", "Unsqueeze"),
}


@functools.cache
def session(size: int = SIZE) -> Any:
    return onnxruntime.InferenceSession(
        cutting_model(size, OPSET).SerializeToString(), providers=["CPUExecutionProvider"]
    )


def cut(pieces: list[PatchViews], size: int = SIZE) -> npt.NDArray[np.uint8]:
    views: npt.NDArray[np.uint8] = session(size).run(["cut_views"], join_patches(pieces).feeds())[0]
    return views


def picture(height: int, width: int, seed: int) -> npt.NDArray[np.uint8]:
    """Noise, and hard stripes of black and white, at which the kernel overshoots."""
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    y, x = np.mgrid[:height, :width]
    image[((x + 2 * y) // 7) % 3 == 0] = 255
    image[((3 * x - y) // 11) % 4 == 0] = 0
    return image


@st.composite
def regions(draw: st.DrawFn) -> tuple[npt.NDArray[np.uint8], Region]:
    height, width = draw(st.integers(1, 150)), draw(st.integers(1, 150))
    image = picture(height, width, draw(st.integers(0, 9)))
    mask = image[..., 0] > draw(st.integers(0, 254))
    x1, y1 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    mask[y1, x1] = True
    x2, y2 = draw(st.integers(x1, width - 1)), draw(st.integers(y1, height - 1))
    return image, Region(mask.astype(np.uint8), box=(x1, y1, x2, y2))


@settings(max_examples=12, deadline=None)
@given(
    st.lists(regions(), min_size=1, max_size=3),
    st.sampled_from(["mso", "mso_bbox"]),
    st.lists(st.integers(0, 26), min_size=1, max_size=3),
)
def test_every_bit_is_that_of_crop_views(
    drawn: list[tuple[npt.NDArray[np.uint8], Region]], recipe: str, views: list[int]
) -> None:
    plan = ViewPlan.by_name(recipe, size=SIZE)
    pieces = [cut_patch(image, region, plan, views=views) for image, region in drawn]
    want = np.concatenate([crop_views(image, region, plan, views=views) for image, region in drawn])
    np.testing.assert_array_equal(cut([piece for piece in pieces if piece is not None]), want)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, LARGEST_WINDOW), st.integers(0, 159), st.integers(0, 119))
def test_windows_of_any_size_and_place(side: int, x: int, y: int) -> None:
    image = picture(120, 160, seed=0)
    region = Region.from_box((x, y, x, y), (120, 160))
    plan = ViewPlan(name="own", scales=(float(side),), shifts=(-1, 1), size=SIZE)
    piece = cut_patch(image, region, plan)
    assert piece is not None
    np.testing.assert_array_equal(cut([piece]), crop_views(image, region, plan))


@pytest.mark.parametrize("size", [56, 224, 512])
def test_views_of_other_sizes(size: int) -> None:
    image = picture(60, 80, seed=1)
    region = Region(image[..., 1] > 200)
    plan = ViewPlan.by_name("none", size=size)
    piece = cut_patch(image, region, plan)
    assert piece is not None
    np.testing.assert_array_equal(cut([piece], size), crop_views(image, region, plan))


def test_views_too_small_for_exact_sums_are_refused() -> None:
    with pytest.raises(EnvironmentUnfitError, match=r"views of 16 x 16 pixels cannot be cut in a graph"):
        cutting_model(16, OPSET)


def test_it_is_made_of_few_standard_operators(tmp_path: Path) -> None:
    model = cutting_model(224, OPSET)
    assert {node.op_type for node in model.graph.node} <= OPERATORS
    path = tmp_path / "cutting.onnx"
    path.write_bytes(model.SerializeToString())
    screen_onnx(path)
    # Nothing but a cast reads the bytes, and no length is computed on the device.
    assert [node.op_type for node in model.graph.node if "patches" in node.input] == ["Cast"]
    assert path.stat().st_size < 1 << 16
