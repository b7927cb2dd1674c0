"""The PyTorch baseline against the answers of the upstream AlphaCLIP code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

torch = pytest.importorskip("torch", reason="the baseline is PyTorch")

from mvrec_edge.bench.torch_baseline import ReleasedEncoder  # noqa: E402
from mvrec_edge.export import read_checkpoint  # noqa: E402
from mvrec_edge.export.encoder import load_encoder  # noqa: E402


def test_raw_views(shared_data: Path) -> None:
    reference = safetensors.numpy.load_file(shared_data / "reference/alphaclip_tiny_io.safetensors")
    views = np.concatenate([reference["rgb"], reference["mask"][..., None]], axis=3)
    module = ReleasedEncoder(load_encoder(read_checkpoint(shared_data / "reference/alphaclip_tiny.pth")))
    with torch.inference_mode():
        got = module(torch.from_numpy(views)).numpy()
    np.testing.assert_allclose(got, reference["embedding"], atol=1e-5, rtol=0)
