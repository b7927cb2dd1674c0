"""The AlphaCLIP image encoder as a PyTorch module, under the official tensor names.

A vision transformer as in CLIP (Radford et al. 2021) whose patch embedding takes a mask as well: the sum of
one convolution over the image and one over the mask (Sun et al., AlphaCLIP, CVPR 2024).
"""

from __future__ import annotations

import torch
from torch import nn

from mvrec_edge.export.checkpoint import EncoderWeights
from mvrec_edge.runtime.bundle import TransformerArchitecture
from mvrec_edge.runtime.errors import UsageError

__all__ = ["AlphaClipEncoder", "Block", "load_encoder"]


class Attention(nn.Module):
    """Multi-head self-attention.

    Args:
        width: Channels; a head for every 64.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 64
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor, queries: int | None = None) -> torch.Tensor:
        """Attends from the first `queries` tokens (by default all) to all: `[N, T, W]` to `[N, queries, W]`."""
        count, length, width = tokens.shape
        size = width // self.heads
        if queries is None:
            query, key, value = self.in_proj(tokens).chunk(3, dim=-1)
        else:
            weight, bias = self.in_proj.weight, self.in_proj.bias
            query = nn.functional.linear(tokens[:, :queries], weight[:width], bias[:width])
            key, value = nn.functional.linear(tokens, weight[width:], bias[width:]).chunk(2, dim=-1)
        # Scaled before the product, the form that fused attention kernels look for.
        query = (query * size**-0.5).reshape(count, -1, self.heads, size).transpose(1, 2)
        key = key.reshape(count, length, self.heads, size).permute(0, 2, 3, 1)
        value = value.reshape(count, length, self.heads, size).transpose(1, 2)
        attended = (query @ key).softmax(dim=-1) @ value
        result: torch.Tensor = self.out_proj(attended.transpose(1, 2).reshape(count, -1, width))
        return result


class Mlp(nn.Module):
    """The two layers after attention, with QuickGELU `x * sigmoid(1.702 x)` between them.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """`[..., W]` to `[..., W]`."""
        hidden = self.c_fc(tokens)
        result: torch.Tensor = self.c_proj(hidden * torch.sigmoid(1.702 * hidden))
        return result


class Block(nn.Module):
    """One transformer block.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = Attention(width)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = Mlp(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor, queries: int | None = None) -> torch.Tensor:
        """`[N, T, W]` to `[N, queries, W]`: only the first `queries` tokens leave (by default all)."""
        kept = tokens if queries is None else tokens[:, :queries]
        kept = kept + self.attn(self.ln_1(tokens), queries)
        result: torch.Tensor = kept + self.mlp(self.ln_2(kept))
        return result


class Transformer(nn.Module):
    """A stack of blocks, under the official name `resblocks`."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width) for _ in range(layers))


class AlphaClipEncoder(nn.Module):
    """The image encoder of AlphaCLIP.

    Args:
        architecture: Its size.
    """

    def __init__(self, architecture: TransformerArchitecture) -> None:
        super().__init__()
        width, patch = architecture.width, architecture.patch_size
        self.architecture = architecture
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.conv1_alpha = nn.Conv2d(1, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(architecture.tokens, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, architecture.layers)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.empty(width, architecture.embedding_dim))

    def forward(self, image: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        """Encodes normalised views.

        Args:
            image: float32 `[N, 3, S, S]`, normalised with CLIP's mean and deviation.
            alpha: float32 `[N, 1, S, S]`, normalised with mean 0.5 and deviation 0.26.

        Returns:
            float32 `[N, C]`, not normalised.
        """
        return self.encode_patches(self.conv1(image) + self.conv1_alpha(alpha))

    def encode_patches(self, patches: torch.Tensor) -> torch.Tensor:
        """Everything after the patch embedding: `[N, W, G, G]` to `[N, C]`.

        Only the class token is read at the end, so it alone leaves the last block.
        """
        patches = patches.flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(patches.shape[0], 1, -1)
        tokens = self.ln_pre(torch.cat([first, patches], dim=1) + self.positional_embedding)
        *blocks, last = self.transformer.resblocks
        for block in blocks:
            tokens = block(tokens)
        result: torch.Tensor = self.ln_post(last(tokens, queries=1)[:, 0]) @ self.proj
        return result


def load_encoder(weights: EncoderWeights) -> AlphaClipEncoder:
    """Builds the module from weights, without a second copy of them; ready for inference.

    Raises:
        UsageError: They are not those of an AlphaCLIP encoder.
    """
    architecture = weights.architecture
    if not isinstance(architecture, TransformerArchitecture):
        raise UsageError(f"{architecture.name} is no AlphaCLIP encoder", fix="give the weights of one")
    with torch.device("meta"):
        encoder = AlphaClipEncoder(architecture)
    encoder.load_state_dict(weights.tensors, strict=True, assign=True)
    return encoder.eval().requires_grad_(False)
