"""The user's defects as views for an export: of the plan that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvrec_edge.calib import read_labelled
from mvrec_edge.runtime import ViewPlan, crop_views, open_source


def test_views_have_the_windows_that_are_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the export stage needs it")
    pytest.importorskip("torch", reason="the export stage needs it")
    from mvrec_edge.cli.calibration import cut_calibration
    from mvrec_edge.testing.dataset import write_dataset

    write_dataset(tmp_path, families=("scratch", "stain"), per_class=2, size=(96, 120), seed=0)
    labelled = read_labelled(open_source(tmp_path))
    plan = ViewPlan.by_name("ms", size=32, window_sizes=(24, 48))
    views = cut_calibration(labelled, tmp_path, plan=plan, shots=2).views
    assert views.shape == (4, 2, 32, 32, 4)
    drawn = labelled.draw(2, seed=0).instances
    for found, instance in zip(views, drawn, strict=True):
        assert (found == crop_views(labelled.images.read(instance.image), instance.region, plan)).all()
