"""Windows and pixels against what the public MVREC code cut from real images."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors

from mvrec_edge.runtime import Region, ViewPlan, crop_views

ROWS = ("0", "7", "10", "17", "21")


def table_row(folder: Path, row: str) -> dict[str, str]:
    with (folder / "mvtec_fs_transistor/CONFIG/transistor_config1/train.csv").open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))[int(row)]


@pytest.mark.parametrize("row", ROWS)
def test_windows_are_equal_and_pixels_within_two(shared_data: Path, row: str) -> None:
    with safetensors.safe_open(shared_data / "reference/crops.safetensors", "np") as file:
        metadata = file.metadata()
        kept = json.loads(metadata["views_kept"])
        rois, views, masks = (file.get_tensor(f"{row}.{name}") for name in ("rois", "views", "masks"))
    record = table_row(shared_data, row)
    pixels = cv2.imread(str(shared_data / "mvtec_fs_transistor/image/transistor" / record["img_rel_path"]))
    image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    box = [int(record[key]) for key in ("x1", "y1", "x2", "y2")]
    region = Region.from_polygon(json.loads(record["points"]), image.shape[:2], box=box)
    plan = ViewPlan.mso()
    np.testing.assert_array_equal(np.array(plan.windows(region.box)), rois)
    cut = crop_views(image, region, plan)[kept].astype(int)
    for got, want in ((cut[..., :3], views), (cut[..., 3], masks)):
        difference = np.abs(got - want)
        assert difference.max() <= 2
        assert difference.mean() <= 0.1
