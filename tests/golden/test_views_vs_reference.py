"""Windows and pixels against what the public MVREC code cut from real images."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import safetensors

from mvrec_edge.runtime import Region, ViewPlan, crop_views
from mvrec_edge.runtime.views.patches import cut_patch, join_patches

ROWS = ("0", "7", "10", "17", "21")


def table_row(folder: Path, row: str) -> dict[str, str]:
    with (folder / "mvtec_fs_transistor/CONFIG/transistor_config1/train.csv").open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))[int(row)]


def cut_of(folder: Path, row: str) -> tuple[npt.NDArray[np.uint8], Region]:
    """The image of a row of the table, and its region."""
    record = table_row(folder, row)
    pixels = cv2.imread(str(folder / "mvtec_fs_transistor/image/transistor" / record["img_rel_path"]))
    image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    box = [int(record[key]) for key in ("x1", "y1", "x2", "y2")]
    return image.astype(np.uint8), Region.from_polygon(json.loads(record["points"]), image.shape[:2], box=box)


@pytest.mark.parametrize("row", ROWS)
def test_windows_are_equal_and_pixels_within_two(shared_data: Path, row: str) -> None:
    with safetensors.safe_open(shared_data / "reference/crops.safetensors", "np") as file:
        metadata = file.metadata()
        kept = json.loads(metadata["views_kept"])
        rois, views, masks = (file.get_tensor(f"{row}.{name}") for name in ("rois", "views", "masks"))
    image, region = cut_of(shared_data, row)
    plan = ViewPlan.mso()
    np.testing.assert_array_equal(np.array(plan.windows(region.box)), rois)
    cut = crop_views(image, region, plan)[kept].astype(int)
    for got, want in ((cut[..., :3], views), (cut[..., 3], masks)):
        difference = np.abs(got - want)
        assert difference.max() <= 2
        assert difference.mean() <= 0.1


@pytest.mark.parametrize("row", ROWS)
def test_a_graph_cuts_the_same_views(shared_data: Path, row: str) -> None:
    """Against `crop_views` in every bit, and so within two of the reference as well."""
    pytest.importorskip("torch", reason="the export stage needs PyTorch")
    onnxruntime = pytest.importorskip("onnxruntime", reason="it runs the graph")
    from mvrec_edge.export.joined_graphs import cutting_model

    image, region = cut_of(shared_data, row)
    plan, chosen = ViewPlan.mso(), [0, 13, 26]
    patch = cut_patch(image, region, plan, views=chosen)
    assert patch is not None
    model = cutting_model(plan.size, 18).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (cut,) = session.run(["cut_views"], join_patches([patch]).feeds())
    np.testing.assert_array_equal(cut, crop_views(image, region, plan, views=chosen))
    with safetensors.safe_open(shared_data / "reference/crops.safetensors", "np") as file:
        kept = json.loads(file.metadata()["views_kept"])
        views = file.get_tensor(f"{row}.views")
    for place, view in enumerate(chosen):
        assert np.abs(cut[place, ..., :3].astype(int) - views[kept.index(view)]).max() <= 2
