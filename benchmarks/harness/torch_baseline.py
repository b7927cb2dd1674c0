"""The encoder in PyTorch as the released code computes it: what an engine is compared with.

It differs from `encoder.py` in speed alone: image and mask are normalised and convolved apart, tokens come first and
views second between the blocks, attention is softmax(q @ k^T) @ v over all heads of all views, and every token goes
through the last block, though the class token alone is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mvrec_edge.bench.candidates import CUDA_PREFIX
from mvrec_edge.bench.torch_fused import FusedEncoder, OneLaunchEach
from mvrec_edge.export.checkpoint import EncoderWeights, read_checkpoint
from mvrec_edge.export.encoder import AlphaClipEncoder, Block, load_encoder
from mvrec_edge.export.random_weights import random_weights
from mvrec_edge.export.views_encoder import normalise
from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.engines import Engine
from mvrec_edge.runtime.errors import CheckpointError, EnvironmentUnfitError, IntegrityError, UsageError
from mvrec_edge.runtime.wording import counted

__all__ = ["WAYS", "ReleasedEncoder", "TorchBaseline", "torch_device", "weights_of"]

#: How PyTorch can run it on the processor: eagerly, compiled, or eagerly with matrix products in bfloat16; and on the
#: GPU, where the last two multiply in float16. "fused" is not the released computation but PyTorch's fastest, in the
#: precision that is asked for, launched as one CUDA graph on a GPU, and "fused-compile" the same with compiled blocks.
WAYS = (
    *("eager", "compile", "autocast", "cuda-eager", "cuda-autocast", "cuda-compile"),
    *("fused", "fused-compile", "cuda-fused", "cuda-fused-compile"),
)

_NARROW = {"autocast": torch.bfloat16, "cuda-autocast": torch.float16, "cuda-compile": torch.float16}
_TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

_FUSED = "fused"

# Each batch size is compiled by itself; beyond the library's own limit it would go on without compiling.
_MOST_SHAPES = 64


class ReleasedEncoder(nn.Module):
    """Encodes raw views step by step as AlphaCLIP's published code does.

    Args:
        encoder: The encoder; its weights are shared, not copied.
    """

    def __init__(self, encoder: AlphaClipEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        """uint8 `[N, S, S, 4]` (red, green, blue, mask) to float `[N, C]`."""
        encoder = self.encoder
        image, alpha = normalise(views)
        patches = (encoder.conv1(image) + encoder.conv1_alpha(alpha)).flatten(2).permute(0, 2, 1)
        first = encoder.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        tokens = encoder.ln_pre(torch.cat([first, patches], dim=1) + encoder.positional_embedding)
        tokens = tokens.permute(1, 0, 2)
        for block in encoder.transformer.resblocks:
            tokens = _block(block, tokens)
        result: torch.Tensor = encoder.ln_post(tokens.permute(1, 0, 2)[:, 0]) @ encoder.proj
        return result


def _block(block: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """One block with all tokens, `[T, N, W]` to `[T, N, W]`."""
    assert isinstance(block, Block)  # noqa: S101 (for the type checker)
    length, count, width = tokens.shape
    heads = block.attn.heads
    size = width // heads
    query, key, value = (
        part.contiguous().view(length, count * heads, size).transpose(0, 1)
        for part in block.attn.in_proj(block.ln_1(tokens)).chunk(3, dim=-1)
    )
    attention = torch.bmm(query * size**-0.5, key.transpose(1, 2)).softmax(dim=-1)
    attended = torch.bmm(attention, value).transpose(0, 1).reshape(length, count, width)
    tokens = tokens + block.attn.out_proj(attended)
    result: torch.Tensor = tokens + block.mlp(block.ln_2(tokens))
    return result


class TorchBaseline(Engine):
    """The released computation as an engine, so that it is timed and checked as the others are.

    Args:
        bundle: A verified bundle.
        weights: The weights that the bundle was made from.
        way: One of `WAYS`.
        precision: What the fused ways compute in: `"fp32"`, `"fp16"` or `"bf16"`.
        batch: Most views that are computed at once.
        threads: CPU threads; None for PyTorch's own choice.

    Raises:
        UsageError: There is no such way.
        EnvironmentUnfitError: It is a way on the GPU, and PyTorch finds none.
    """

    name = "torch"

    def __init__(
        self,
        bundle: Bundle,
        weights: EncoderWeights,
        *,
        way: str,
        batch: int,
        precision: str = "fp32",
        threads: int | None = None,
    ) -> None:
        if way not in WAYS:
            raise UsageError(f"PyTorch is not run by '{way}'", fix="one of " + ", ".join(WAYS))
        if threads is not None:
            torch.set_num_threads(threads)
        self._on = torch_device(on_gpu=way.startswith(CUDA_PREFIX))
        compiled = way.endswith("compile")
        if compiled:
            from torch._dynamo import config

            config.recompile_limit = _MOST_SHAPES  # type: ignore[attr-defined,unused-ignore]
        module: Callable[[torch.Tensor], torch.Tensor]
        if _FUSED in way:
            fused = FusedEncoder(load_encoder(weights), _TYPES[precision], self._on, compiled=compiled).eval()
            module = OneLaunchEach(fused) if self._on == "cuda" else fused
        else:
            module = ReleasedEncoder(load_encoder(weights)).eval().to(self._on)
            module = torch.compile(module, dynamic=False) if compiled else module
        self._module: Any = module
        self._narrow = _NARROW.get(way)
        if self._on == "cuda":
            self.device = f"gpu 0, {torch.cuda.get_device_name(0)}"
        else:
            self.device = f"cpu, {counted(torch.get_num_threads(), 'thread')}"
        super().__init__(
            image_size=bundle.architecture.image_size,
            embedding_dim=bundle.architecture.embedding_dim,
            fingerprint="",
            batch=batch,
            random_weights=bundle.weights.is_random,
        )

    def _encode_batch(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        autocast = torch.autocast(self._on, dtype=self._narrow) if self._narrow else contextlib.nullcontext()
        with torch.inference_mode(), autocast:
            return np.asarray(self._module(torch.from_numpy(views).to(self._on)).float().cpu().numpy())

    def _close(self) -> None:
        self._module = None


def torch_device(*, on_gpu: bool) -> str:
    """What PyTorch calls the processor or the GPU.

    Raises:
        EnvironmentUnfitError: PyTorch finds no GPU.
    """
    if on_gpu and not torch.cuda.is_available():
        raise EnvironmentUnfitError(
            f"PyTorch {torch.__version__} finds no GPU", fix="install PyTorch for the GPU, and the GPU's driver"
        )
    return "cuda" if on_gpu else "cpu"


def weights_of(bundle: Bundle, checkpoint: Path | None = None) -> EncoderWeights:
    """The weights that a bundle was made from.

    Args:
        bundle: A verified bundle.
        checkpoint: Its checkpoint; drawn weights are drawn again instead.

    Raises:
        CheckpointError: The bundle was made from a checkpoint, and none is given.
        IntegrityError: The checkpoint is another one.
    """
    if bundle.weights.is_random:
        return random_weights(bundle.architecture, bundle.weights.seed or 0)
    if checkpoint is None:
        raise CheckpointError(
            "the bundle was made from a checkpoint, which is not given",
            where=bundle.path,
            fix=f"give --checkpoint {bundle.weights.name}",
        )
    weights = read_checkpoint(checkpoint)
    if weights.sha256 != bundle.weights.sha256:
        raise IntegrityError("is not the checkpoint that the bundle was made from", where=checkpoint)
    return weights
