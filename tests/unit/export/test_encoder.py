"""The encoder against a second, plain reading of the same equations, on weights of which none is 0 or 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the export stage needs PyTorch")
onnxruntime = pytest.importorskip("onnxruntime", reason="the export stage needs ONNX Runtime")

from mvrec_edge.export import EncoderWeights, drawn_weights, random_weights  # noqa: E402
from mvrec_edge.export.check import seeded_views  # noqa: E402
from mvrec_edge.export.encoder import load_encoder  # noqa: E402
from mvrec_edge.export.graph import trace_graph  # noqa: E402
from mvrec_edge.export.views_encoder import ViewsEncoder, normalise  # noqa: E402
from mvrec_edge.runtime.bundle import TransformerArchitecture  # noqa: E402
from mvrec_edge.runtime.errors import UsageError  # noqa: E402

SIZES = [
    TransformerArchitecture(32, 16, 64, 1, 24),
    TransformerArchitecture(42, 14, 128, 2, 32),
    TransformerArchitecture(48, 8, 192, 3, 7),
]


def lively_weights(architecture: TransformerArchitecture) -> EncoderWeights:
    """Drawn weights with gains and biases that differ everywhere, so that no two can be mistaken for each other."""
    weights = random_weights(architecture, seed=3)
    generator = torch.Generator().manual_seed(3)
    for value in weights.tensors.values():
        if value.ndim == 1:
            value += 0.3 * torch.randn(value.shape, generator=generator)
    return weights


def plain_answer(weights: EncoderWeights, views: np.ndarray) -> torch.Tensor:
    """AlphaCLIP in float64: two convolutions, PyTorch's own attention, all tokens in every block."""
    architecture = weights.architecture
    tensors = {name: value.double() for name, value in weights.tensors.items()}
    width, patch = architecture.width, architecture.patch_size

    def norm(tokens: torch.Tensor, name: str) -> torch.Tensor:
        return torch.nn.functional.layer_norm(
            tokens, (width,), tensors[f"{name}.weight"], tensors[f"{name}.bias"], eps=1e-5
        )

    planes = torch.from_numpy(views).double() / 255
    image = (planes[..., :3] - torch.tensor((0.48145466, 0.4578275, 0.40821073)).double()) / torch.tensor(
        (0.26862954, 0.26130258, 0.27577711)
    ).double()
    alpha = (planes[..., 3:] - 0.5) / 0.26
    patches = torch.nn.functional.conv2d(image.permute(0, 3, 1, 2), tensors["conv1.weight"], stride=patch)
    patches = patches + torch.nn.functional.conv2d(
        alpha.permute(0, 3, 1, 2), tensors["conv1_alpha.weight"], stride=patch
    )
    patches = patches.flatten(2).transpose(1, 2)
    first = tensors["class_embedding"].expand(len(views), 1, width)
    tokens = norm(torch.cat([first, patches], dim=1) + tensors["positional_embedding"], "ln_pre")
    for layer in range(architecture.layers):
        block = f"transformer.resblocks.{layer}"
        attention = torch.nn.MultiheadAttention(width, width // 64, batch_first=True).double()
        attention.load_state_dict(
            {
                "in_proj_weight": tensors[f"{block}.attn.in_proj.weight"],
                "in_proj_bias": tensors[f"{block}.attn.in_proj.bias"],
                "out_proj.weight": tensors[f"{block}.attn.out_proj.weight"],
                "out_proj.bias": tensors[f"{block}.attn.out_proj.bias"],
            }
        )
        normed = norm(tokens, f"{block}.ln_1")
        tokens = tokens + attention(normed, normed, normed, need_weights=False)[0]
        hidden = norm(tokens, f"{block}.ln_2") @ tensors[f"{block}.mlp.c_fc.weight"].T
        hidden = hidden + tensors[f"{block}.mlp.c_fc.bias"]
        hidden = hidden / (1 + torch.exp(-1.702 * hidden))
        tokens = tokens + hidden @ tensors[f"{block}.mlp.c_proj.weight"].T + tensors[f"{block}.mlp.c_proj.bias"]
    return norm(tokens[:, 0], "ln_post") @ tensors["proj"]


@pytest.mark.parametrize("architecture", SIZES, ids=lambda architecture: architecture.name)
def test_module_folded_module_and_graph(architecture: TransformerArchitecture, tmp_path: Path) -> None:
    weights = lively_weights(architecture)
    views = seeded_views(5, architecture.image_size, seed=1)
    with torch.inference_mode():
        want = plain_answer(weights, views).numpy()
        encoder = load_encoder(weights)
        image, alpha = normalise(torch.from_numpy(views))
        answers = {"module": encoder(image, alpha).numpy()}
        folded = ViewsEncoder(encoder)
        answers["folded module"] = folded(torch.from_numpy(views)).numpy()
    trace_graph(folded, tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    (answers["graph"],) = session.run(None, {"views": views})
    for batch in (1, 4):
        (answers[f"graph, batch {batch}"],) = session.run(None, {"views": views[:batch]})
    for name, got in answers.items():
        assert got.dtype == np.float32
        error = np.abs(got - want[: len(got)]).max() / np.abs(want).max()
        assert error <= 1e-5, f"{name} differs by {error:.1e}"


def test_the_mask_has_an_influence() -> None:
    module = ViewsEncoder(load_encoder(drawn_weights("ViT-Ti/16", 0)))
    views = torch.from_numpy(seeded_views(1, 224, seed=0))
    masked = views.clone()
    masked[..., 3] = 0
    with torch.inference_mode():
        assert not torch.allclose(module(views), module(masked), atol=1e-3)


def test_weights_are_shared_and_frozen() -> None:
    weights = random_weights(SIZES[0], seed=0)
    module = ViewsEncoder(load_encoder(weights))
    for name, parameter in module.encoder.named_parameters():
        assert parameter.data_ptr() == weights.tensors[name].data_ptr()
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match="ViT-L/14@336"):
        drawn_weights("ViT-X/1", 0)
