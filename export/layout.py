"""The official names and shapes of an AlphaCLIP encoder's tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch

from mvrec_edge.runtime.bundle import EncoderArchitecture
from mvrec_edge.runtime.errors import CheckpointError

__all__ = ["check_tensors", "expected_shapes", "find_architecture"]

_BLOCK = re.compile(r"transformer\.resblocks\.(\d{1,4})\.")
_MOST_LISTED = 3
_LARGEST_SIDE = 4096
_LARGEST_WIDTH = 8192
_MOST_LAYERS = 256


def expected_shapes(architecture: EncoderArchitecture) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of an encoder, in the order of the official state dict."""
    width, patch = architecture.width, architecture.patch_size
    shapes: dict[str, tuple[int, ...]] = {
        "class_embedding": (width,),
        "positional_embedding": (architecture.tokens, width),
        "proj": (width, architecture.embedding_dim),
        "conv1.weight": (width, 3, patch, patch),
        "conv1_alpha.weight": (width, 1, patch, patch),
        "ln_pre.weight": (width,),
        "ln_pre.bias": (width,),
    }
    for layer in range(architecture.layers):
        block = {
            "attn.in_proj.weight": (3 * width, width),
            "attn.in_proj.bias": (3 * width,),
            "attn.out_proj.weight": (width, width),
            "attn.out_proj.bias": (width,),
            "ln_1.weight": (width,),
            "ln_1.bias": (width,),
            "mlp.c_fc.weight": (4 * width, width),
            "mlp.c_fc.bias": (4 * width,),
            "mlp.c_proj.weight": (width, 4 * width),
            "mlp.c_proj.bias": (width,),
            "ln_2.weight": (width,),
            "ln_2.bias": (width,),
        }
        shapes |= {f"transformer.resblocks.{layer}.{name}": shape for name, shape in block.items()}
    return shapes | {"ln_post.weight": (width,), "ln_post.bias": (width,)}


def find_architecture(tensors: Mapping[str, torch.Tensor], where: Path) -> EncoderArchitecture:
    """Reads the size of an encoder off its tensors.

    Args:
        tensors: Tensors under the official names.
        where: The checkpoint, for messages.

    Raises:
        CheckpointError: The tensors are not those of an AlphaCLIP vision transformer.
    """
    if any(name.startswith(("layer1.", "attnpool.")) for name in tensors):
        raise CheckpointError("holds a ResNet, not a vision transformer", where=where, fix="use a ViT checkpoint")
    if any("lora_" in name for name in tensors):
        raise CheckpointError("holds LoRA weights that are not merged", where=where, fix="merge them into the weights")
    if "conv1.weight" in tensors and "conv1_alpha.weight" not in tensors:
        raise CheckpointError(
            "is a CLIP checkpoint without an alpha channel: there is no 'conv1_alpha.weight'",
            where=where,
            fix="MVREC needs AlphaCLIP; get a checkpoint from the model zoo of the AlphaCLIP repository",
        )
    if missing := [name for name in ("conv1.weight", "positional_embedding", "proj") if name not in tensors]:
        raise CheckpointError(
            f"is not an AlphaCLIP visual checkpoint: there is no '{missing[0]}'",
            where=where,
            fix="get a checkpoint from the model zoo of the AlphaCLIP repository",
        )
    convolution, positions, projection = (tensors[name] for name in ("conv1.weight", "positional_embedding", "proj"))
    if (convolution.ndim, positions.ndim, projection.ndim) != (4, 2, 2):
        raise CheckpointError("has tensors of a wrong number of dimensions", where=where)
    width, patch = convolution.shape[0], convolution.shape[2]
    grid = math.isqrt(max(positions.shape[0] - 1, 0))
    layers = len({match[1] for name in tensors if (match := _BLOCK.match(name))})
    if grid < 1 or grid * grid + 1 != positions.shape[0]:
        raise CheckpointError(
            f"has {positions.shape[0]} positions, which is no square of patches and a class token", where=where
        )
    if width % 64 or not 64 <= width <= _LARGEST_WIDTH:
        raise CheckpointError(f"has width {width}, which is no multiple of 64 up to {_LARGEST_WIDTH}", where=where)
    if not 1 <= layers <= _MOST_LAYERS or not 1 <= patch * grid <= _LARGEST_SIDE:
        raise CheckpointError(f"has {layers} layers and an input of {patch * grid} pixels", where=where)
    return EncoderArchitecture(
        image_size=patch * grid,
        patch_size=patch,
        width=width,
        layers=layers,
        embedding_dim=projection.shape[1],
    )


def check_tensors(tensors: Mapping[str, torch.Tensor], architecture: EncoderArchitecture, where: Path) -> None:
    """Compares tensors with the official names and shapes.

    Raises:
        CheckpointError: A tensor is missing, unexpected, of a wrong shape, or holds a value that is not finite.
    """
    shapes = expected_shapes(architecture)
    if missing := [name for name in shapes if name not in tensors]:
        raise CheckpointError(f"lacks {_listed(missing)}", where=where, fix="the file may be of another model")
    if strangers := [name for name in tensors if name not in shapes]:
        raise CheckpointError(
            f"holds {_listed(strangers)} that an AlphaCLIP encoder does not have",
            where=where,
            fix="export the visual encoder alone",
        )
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            raise CheckpointError(
                f"'{name}' has the shape {list(tensors[name].shape)}, wanted is {list(shape)}", where=where
            )
    for name in shapes:
        if not torch.isfinite(tensors[name]).all():
            raise CheckpointError(f"'{name}' holds values that are not finite", where=where, fix="copy it again")


def _listed(names: list[str]) -> str:
    text = ", ".join(f"'{name[:80]}'" for name in names[:_MOST_LISTED])
    rest = len(names) - _MOST_LISTED
    return f"{len(names)} tensors: {text}" + (f" and {rest} more" if rest > 0 else "")
