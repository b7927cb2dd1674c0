"""The encoder against the answers of the upstream AlphaCLIP code: module, folded module, and exported graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")

from mvrec_edge.export import export_bundle, read_checkpoint  # noqa: E402
from mvrec_edge.export.encoder import load_encoder  # noqa: E402
from mvrec_edge.export.views_encoder import ViewsEncoder, normalise  # noqa: E402
from mvrec_edge.runtime import open_engine  # noqa: E402

TOLERANCE = 1e-5


@pytest.fixture
def reference(shared_data: Path) -> dict[str, np.ndarray]:
    tensors = safetensors.numpy.load_file(shared_data / "reference/alphaclip_tiny_io.safetensors")
    tensors["views"] = np.concatenate([tensors["rgb"], tensors["mask"][..., None]], axis=3)
    return tensors


def test_normalisation(reference: dict[str, np.ndarray]) -> None:
    image, alpha = normalise(torch.from_numpy(reference["views"]))
    np.testing.assert_allclose(image.numpy(), reference["image"], atol=1e-6)
    np.testing.assert_allclose(alpha.numpy(), reference["alpha"], atol=1e-6)


def test_module_on_normalised_views(shared_data: Path, reference: dict[str, np.ndarray]) -> None:
    encoder = load_encoder(read_checkpoint(shared_data / "reference/alphaclip_tiny.pth"))
    with torch.inference_mode():
        got = encoder(torch.from_numpy(reference["image"]), torch.from_numpy(reference["alpha"])).numpy()
    np.testing.assert_allclose(got, reference["embedding"], atol=TOLERANCE, rtol=0)


def test_module_on_raw_views(shared_data: Path, reference: dict[str, np.ndarray]) -> None:
    module = ViewsEncoder(load_encoder(read_checkpoint(shared_data / "reference/alphaclip_tiny.pth")))
    with torch.inference_mode():
        got = module(torch.from_numpy(reference["views"])).numpy()
    np.testing.assert_allclose(got, reference["embedding"], atol=TOLERANCE, rtol=0)


def test_exported_graph_on_raw_views(shared_data: Path, reference: dict[str, np.ndarray], tmp_path: Path) -> None:
    bundle = export_bundle(read_checkpoint(shared_data / "reference/alphaclip_tiny.pth"), tmp_path / "b")
    assert bundle.weights.name == "alphaclip_tiny.pth"
    assert not bundle.weights.is_random
    for batch in (1, 2, 5):
        with open_engine("onnxruntime", bundle, batch=batch) as engine:
            got = engine.encode(reference["views"])
        np.testing.assert_allclose(got, reference["embedding"], atol=TOLERANCE, rtol=0)


def test_the_alpha_clip_package_agrees() -> None:
    """Where the upstream package happens to be installed, it is asked directly."""
    model = pytest.importorskip("alpha_clip.model", reason="the alpha_clip package is not installed")
    from mvrec_edge.export import random_weights
    from mvrec_edge.runtime.bundle import TransformerArchitecture

    architecture = TransformerArchitecture(56, 14, 128, 3, 64)
    weights = random_weights(architecture, seed=1)
    upstream = model.VisionTransformer(56, 14, 128, 3, 2, 64)
    upstream.load_state_dict(weights.tensors)
    views = torch.randint(0, 256, (3, 56, 56, 4), dtype=torch.uint8)
    image, alpha = normalise(views)
    with torch.inference_mode():
        want = upstream.eval()(image, alpha).numpy()
        got = ViewsEncoder(load_encoder(weights))(views).numpy()
    np.testing.assert_allclose(got, want, atol=TOLERANCE, rtol=0)
