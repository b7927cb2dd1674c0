"""The weights that training begins with let patches tell brightness and mask apart at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")

from mvrec_edge.export.encoder import AlphaClipEncoder  # noqa: E402
from mvrec_edge.export.random_weights import random_weights  # noqa: E402
from mvrec_edge.runtime.bundle import TransformerArchitecture  # noqa: E402
from training.beginning import first_weights, spread_embeddings  # noqa: E402
from training.train import POCKET  # noqa: E402


def test_the_same_seed_gives_the_same_weights_and_they_fit_the_encoder() -> None:
    first, again, other = first_weights(POCKET, 0), first_weights(POCKET, 0), first_weights(POCKET, 1)
    AlphaClipEncoder(POCKET).load_state_dict(first)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize("patch", [8, 16])
@pytest.mark.parametrize("name", ["conv1.weight", "conv1_alpha.weight"])
def test_filters_answer_to_a_flat_patch_more_than_white_noise_does_and_are_as_strong(name: str, patch: int) -> None:
    architecture = replace(POCKET, patch_size=patch)
    smooth, white = first_weights(architecture, 0)[name], random_weights(architecture, 0).tensors[name]
    assert float(smooth.norm()) == pytest.approx(float(white.norm()), rel=0.02)
    flat = [float(each.sum(dim=(2, 3)).square().mean()) for each in (smooth, white)]
    # White noise is alike at all frequencies; of a smooth filter, the lowest has this many times its share.
    squares = torch.arange(patch) ** 2
    strengths = 1 / (1 + (squares[:, None] + squares[None]) / 8)
    assert flat[0] / flat[1] == pytest.approx(patch**2 / float(strengths.square().sum()), rel=0.2)


def test_every_place_has_its_own_position() -> None:
    positions = first_weights(POCKET, 0)["positional_embedding"]
    distances = torch.cdist(positions, positions) + 1e9 * torch.eye(len(positions))
    assert float(distances.min()) > 1


def test_embeddings_are_spread_over_all_directions() -> None:
    encoder = AlphaClipEncoder(TransformerArchitecture(32, 16, 64, 2, 64))
    encoder.load_state_dict(first_weights(encoder.architecture, 0))
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(400, 3, 2, 2, generator=generator).repeat_interleave(16, 2).repeat_interleave(16, 3)
    alpha = image[:, :1] * 0.5
    before = torch.nn.functional.normalize(encoder(image, alpha).detach(), dim=1)
    spread_embeddings(encoder, image, alpha)
    after = torch.nn.functional.normalize(encoder(image, alpha).detach(), dim=1)
    assert float((before @ before.T).mean()) > 0.5
    assert abs(float((after @ after.T).mean())) < 0.05
    assert float((after @ after.T).square().mean()) < float((before @ before.T).square().mean()) / 5
