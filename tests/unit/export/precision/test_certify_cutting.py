"""Graphs that cut views are certified, or left out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the export stage needs PyTorch")

from mvrec_edge.export.pipeline import export_bundle
from mvrec_edge.export.precision.certify_cutting import CuttingCertifier
from mvrec_edge.export.random_weights import random_weights
from mvrec_edge.export.rendered_views import rendered_views
from mvrec_edge.runtime import Bundle
from mvrec_edge.runtime.errors import EnvironmentUnfitError
from tests.conftest import TINY
from tests.unit.export.conftest import SMALL


def test_views_too_small_are_left_out_of_the_bundle_and_the_rest_is_written(tmp_path: Path) -> None:
    weights = random_weights(dataclasses.replace(SMALL, image_size=16, patch_size=8), seed=0)
    failures: list[EnvironmentUnfitError] = []
    bundle = export_bundle(weights, tmp_path / "b", views_in_graph=True, left_out=failures.append)
    assert [failure.what for failure in failures] == [
        "views of 16 x 16 pixels cannot be cut in a graph: their sums are no longer exact"
    ]
    assert bundle.manifest.graphs[0].variants == ()
    assert not (bundle.path / "encoder.fp32.views.onnx").exists()


def test_a_graph_that_answers_otherwise_is_refused(cutting_bundle: Bundle) -> None:
    """The graph of another precision in the place of the one that it was made from."""
    rendered = rendered_views(6, TINY.image_size, seed=0)
    certifier = CuttingCertifier(rendered, np.ones((6, TINY.embedding_dim)), "rendered defects")
    folder = cutting_bundle.path
    graph = folder / "encoder.fp32.onnx"
    record = certifier.certify(folder / "encoder.fp32.views.onnx", "views", graph, graph, "fp32")
    assert record.cut is not None
    assert record.cut.differing == 0
    # Its views are others than those it is compared with.
    other = CuttingCertifier(255 - rendered, np.ones((6, TINY.embedding_dim)), "rendered defects")
    with pytest.raises(EnvironmentUnfitError, match=r"the fp32 graph that cuts views does not compute what"):
        other.certify(folder / "encoder.fp32.views.onnx", "views", graph, graph, "fp32")
