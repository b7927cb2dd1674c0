"""The weights that training begins with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from mvrec_edge.export.encoder import AlphaClipEncoder
from mvrec_edge.export.random_weights import random_weights
from mvrec_edge.runtime.bundle import TransformerArchitecture

__all__ = ["first_weights", "spread_embeddings"]

# Cycles per patch at which a filter is half as strong as for a flat patch, squared.
_CORNER = 8.0
_POSITION_STRENGTH = 1.5
_FLOOR = 0.01


def first_weights(architecture: TransformerArchitecture, seed: int) -> dict[str, torch.Tensor]:
    """Drawn weights with smooth patch filters and positions as waves.

    With white noise for filters, the mean brightness of a patch and the share of it that the mask covers are lost in
    what single pixels do, and hundreds of steps go by before anything is learned. Here a filter is a random mixture of
    cosine waves, the slower the stronger, of the same total strength. The position embedding is the usual pair of sine
    and cosine for rows and columns (Vaswani et al. 2017), as strong as what the filters give.

    Args:
        architecture: The encoder's size.
        seed: Any number from 0 on.

    Returns:
        Tensors under the official names.
    """
    tensors = dict(random_weights(architecture, seed).tensors)
    random = np.random.Generator(np.random.PCG64([seed, architecture.width]))
    for name in ("conv1.weight", "conv1_alpha.weight"):
        tensors[name] = torch.from_numpy(_smooth_filters(random, tuple(tensors[name].shape)))
    positions = _POSITION_STRENGTH * _waves(architecture.image_size // architecture.patch_size, architecture.width)
    tensors["positional_embedding"] = torch.from_numpy(np.vstack([np.zeros_like(positions[:1]), positions]))
    return tensors


@torch.no_grad()
def spread_embeddings(encoder: AlphaClipEncoder, image: torch.Tensor, alpha: torch.Tensor) -> None:
    """Whitens an encoder's embeddings: zero mean, and no direction stronger than another but for a hundredth.

    Embeddings of a drawn encoder point almost all in one direction, and what is left follows how much of the view is
    black: cosines say nothing, and training begins with the long way out of there. The bias of the last norm takes
    the common part away, and the projection evens out the rest.

    Args:
        encoder: Is changed.
        image: float32 `[N, 3, S, S]`, normalised views to measure on, more than the encoder has channels.
        alpha: float32 `[N, 1, S, S]`.
    """
    directions, _ = torch.linalg.qr(encoder.proj)
    encoder.proj.copy_(torch.eye(*encoder.proj.shape))
    outputs: torch.Tensor = encoder(image, alpha)
    common = outputs.mean(dim=0)
    encoder.ln_post.bias.sub_(common)
    outputs = outputs - common
    strengths, axes = torch.linalg.eigh(outputs.T @ outputs / len(outputs))
    whitening = axes @ torch.diag((strengths + _FLOOR * strengths.mean()).rsqrt()) @ axes.T
    encoder.proj.copy_(whitening @ directions / encoder.proj.shape[1] ** 0.5)


def _smooth_filters(random: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """float32 `[W, channels, P, P]`; every filter has the length that white noise of CLIP's scale would have."""
    size = shape[-1]
    steps = np.arange(size)
    basis = np.cos(np.pi * np.outer(steps, steps + 0.5) / size)
    basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    strength = 1 / (1 + np.add.outer(steps**2, steps**2) / _CORNER)
    mixed = random.standard_normal(shape) * strength
    filters = np.einsum("wcuv,uy,vx->wcyx", mixed, basis, basis)
    filters /= np.linalg.norm(filters, axis=(2, 3), keepdims=True)
    # Of the four channels of a view, image and mask, each has a quarter.
    return np.asarray(filters / 2, np.float32)


def _waves(side: int, width: int) -> npt.NDArray[np.float32]:
    """Positions on a square grid, float32 `[side * side, width]`: half of the channels for rows, half for columns."""
    rates = np.pi / side * np.geomspace(0.5, side / 2, width // 4)
    phases = np.outer(np.arange(side), rates)
    waves = np.concatenate([np.sin(phases), np.cos(phases)], axis=1)
    rows, columns = np.repeat(waves, side, axis=0), np.tile(waves, (side, 1))
    return np.concatenate([rows, columns], axis=1).astype(np.float32)
