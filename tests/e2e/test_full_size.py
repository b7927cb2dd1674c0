"""ViT-L/14 in full size, with drawn weights, through the command a user types."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mvrec_edge.runtime import Bundle, open_engine

pytest.importorskip("torch", reason="the export stage needs PyTorch")


# Minutes, most of them PyTorch's; every smaller encoder goes the same way in the other tests.
@pytest.mark.slow
def test_vit_l_14_is_exported_checked_and_runs(tmp_path: Path) -> None:
    path = tmp_path / "l14.bundle"
    command = [Path(sys.executable).with_name("mvrec-edge"), "export", "--random-weights", "ViT-L/14", "--out", path]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for step in ("drawing weights", "building", "tracing", "comparing", "writing"):
        assert step in result.stderr
    # The largest child so far; this one, unless a larger came before, and then the bound is harder to keep.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < 8e9

    bundle = Bundle.load(path)
    assert bundle.architecture.name == "ViT-L/14"
    assert bundle.architecture.flops_per_view == pytest.approx(160e9, rel=0.05)
    assert bundle.weights.is_random
    (record,) = bundle.manifest.graphs
    assert {check.batch for check in record.checks} == {1, 3, 27}
    assert min(check.worst_cosine for check in record.checks) >= 0.99999
    assert max(check.largest_error for check in record.checks) <= 1e-4
    with open_engine("onnxruntime", bundle) as engine:
        embedding = engine.encode(np.zeros((1, 224, 224, 4), np.uint8))
    assert embedding.shape == (1, 768)
