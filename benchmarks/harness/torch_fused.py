"""The encoder in PyTorch as fast as PyTorch runs it: half precision throughout, fused attention, compiled, one launch.

It is the baseline for what an engine reaches on a GPU, as `ReleasedEncoder` is for what upstream's code takes.
Normalising and the class token alone in the last block are as in the exported graph. Between the blocks every number
has the narrow type.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention

from mvrec_edge.export.encoder import AlphaClipEncoder, Block
from mvrec_edge.export.views_encoder import normalise

__all__ = ["FusedEncoder", "OneLaunchEach"]


class FusedEncoder(nn.Module):
    """Encodes raw views with PyTorch's fused attention, in one type throughout.

    Args:
        encoder: The encoder; moved to the type and the device, so it is spent.
        dtype: What everything after the normalisation is computed in.
        device: Where.
        compiled: Whether the blocks are compiled. They share one compilation for each batch size, since they differ in
            nothing but their weights; a block ends before its last sum, so that the sum is fused with what follows.
    """

    _black: torch.Tensor
    _slope: torch.Tensor

    def __init__(self, encoder: AlphaClipEncoder, dtype: torch.dtype, device: str, *, compiled: bool = False) -> None:
        super().__init__()
        # Kept, so that nothing is copied to the GPU while a launch is recorded.
        black, white = (
            torch.cat(normalise(torch.full((1, 1, 1, 4), value, dtype=torch.uint8)), dim=1) for value in (0, 255)
        )
        self.register_buffer("_black", black.to(device=device, dtype=dtype))
        self.register_buffer("_slope", ((white - black) / 255).to(device=device, dtype=dtype))
        self.encoder = encoder.to(device=device, dtype=dtype)
        self._dtype = dtype
        self._block: Callable[..., tuple[torch.Tensor, torch.Tensor]] = _block
        if compiled:
            self._block = torch.compile(_block, mode="max-autotune-no-cudagraphs", dynamic=False)

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        """uint8 `[N, S, S, 4]` (red, green, blue, mask) to `[N, C]`."""
        encoder = self.encoder
        planes = views.permute(0, 3, 1, 2).to(self._dtype) * self._slope + self._black
        embedded = encoder.conv1(planes[:, :3]) + encoder.conv1_alpha(planes[:, 3:])
        patches = embedded.flatten(2).transpose(1, 2)
        first = encoder.class_embedding.expand(len(patches), 1, -1)
        tokens = encoder.ln_pre(torch.cat([first, patches], dim=1) + encoder.positional_embedding)
        branch = torch.zeros_like(tokens)
        *blocks, last = encoder.transformer.resblocks
        for block in blocks:
            tokens, branch = self._block(block, tokens, branch)
        tokens, branch = _block(last, tokens, branch, 1)
        result: torch.Tensor = encoder.ln_post((tokens + branch)[:, 0]) @ encoder.proj
        return result


def _block(
    block: nn.Module, tokens: torch.Tensor, branch: torch.Tensor, queries: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """A block whose input is a sum of two and whose output as well; only the first `queries` tokens leave it."""
    assert isinstance(block, Block)  # noqa: S101 (for the type checker)
    tokens = tokens + branch
    attention, count, width = block.attn, len(tokens), tokens.shape[-1]
    shape = (count, -1, attention.heads, width // attention.heads)
    normed, kept = block.ln_1(tokens), tokens
    if queries is None:
        query, key, value = attention.in_proj(normed).chunk(3, dim=-1)
    else:
        weight, bias = attention.in_proj.weight, attention.in_proj.bias
        query = linear(normed[:, :queries], weight[:width], bias[:width])
        key, value = linear(normed, weight[width:], bias[width:]).chunk(2, dim=-1)
        kept = tokens[:, :queries]
    parts = (part.reshape(shape).transpose(1, 2) for part in (query, key, value))
    attended = scaled_dot_product_attention(*parts).transpose(1, 2).reshape(count, -1, width)
    kept = kept + attention.out_proj(attended)
    hidden = block.mlp(block.ln_2(kept))
    return kept, hidden


class OneLaunchEach:
    """A module of which each batch size is recorded as a CUDA graph when it first comes.

    Args:
        module: What is recorded; its inputs are on the GPU.
    """

    def __init__(self, module: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._module = module
        self._recorded: dict[torch.Size, tuple[torch.cuda.CUDAGraph, torch.Tensor, torch.Tensor]] = {}

    def __call__(self, views: torch.Tensor) -> torch.Tensor:
        """The module's result, which the next call of the same size overwrites."""
        if views.shape not in self._recorded:
            self._recorded[views.shape] = self._record(views)
        graph, taken, given = self._recorded[views.shape]
        taken.copy_(views)
        graph.replay()
        return given

    def _record(self, views: torch.Tensor) -> tuple[torch.cuda.CUDAGraph, torch.Tensor, torch.Tensor]:
        taken = views.clone()
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call,unused-ignore]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            # What is compiled, tuned or allocated at a first run must not be part of the recording.
            for _ in range(3):
                self._module(taken)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            given = self._module(taken)
        return graph, taken, given
