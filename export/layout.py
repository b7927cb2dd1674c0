"""The official names and shapes of an AlphaCLIP encoder's tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import torch

from mvrec_edge.runtime.bundle import TransformerArchitecture
from mvrec_edge.runtime.errors import CheckpointError
from mvrec_edge.runtime.wording import counted

__all__ = ["check_family", "check_finite", "check_shapes", "expected_shapes", "find_architecture", "shown"]

_BLOCK = re.compile(r"transformer\.resblocks\.(\d{1,4})\.")
_MOST_LISTED = 3
_LARGEST_SIDE = 4096
_LARGEST_WIDTH = 8192
_MOST_LAYERS = 256
_LARGEST_EMBEDDING = 8192
# One ONNX file is one protobuf message, which ends at 2 GiB; the graph beside the weights takes far below 16 MiB.
_MOST_BYTES = (1 << 31) - (1 << 24)


def expected_shapes(architecture: TransformerArchitecture) -> dict[str, tuple[int, ...]]:
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


def check_family(names: Collection[str], where: Path) -> None:
    """Tells from the names alone what is no AlphaCLIP vision transformer, and says what it is instead.

    Args:
        names: Tensor names without prefixes.
        where: The checkpoint, for messages.

    Raises:
        CheckpointError: It is a ResNet, a CLIP without an alpha channel, holds LoRA weights, or is another model.
    """
    if any(name.startswith(("layer1.", "attnpool.")) for name in names):
        raise CheckpointError("holds a ResNet, not a vision transformer", where=where, fix="use a ViT checkpoint")
    if any("lora_" in name for name in names):
        raise CheckpointError("holds LoRA weights that are not merged", where=where, fix="merge them into the weights")
    if "conv1.weight" in names and "conv1_alpha.weight" not in names:
        raise CheckpointError(
            "is a CLIP checkpoint without an alpha channel: there is no 'conv1_alpha.weight'",
            where=where,
            fix="MVREC needs AlphaCLIP; get a checkpoint from the model zoo of the AlphaCLIP repository",
        )
    if missing := [name for name in ("conv1.weight", "positional_embedding", "proj") if name not in names]:
        raise CheckpointError(
            f"is not an AlphaCLIP visual checkpoint: there is no '{missing[0]}'",
            where=where,
            fix="get a checkpoint from the model zoo of the AlphaCLIP repository",
        )


def find_architecture(tensors: Mapping[str, torch.Tensor], where: Path) -> TransformerArchitecture:
    """Reads the size of an encoder off its tensors.

    Args:
        tensors: Tensors under the official names.
        where: The checkpoint, for messages.

    Raises:
        CheckpointError: The tensors are not those of an AlphaCLIP vision transformer, or of one whose weights are too
            large for one ONNX file.
    """
    check_family(tensors, where)
    convolution, positions, projection = (tensors[name] for name in ("conv1.weight", "positional_embedding", "proj"))
    if (convolution.ndim, positions.ndim, projection.ndim) != (4, 2, 2):
        raise CheckpointError(
            "has tensors of a wrong number of dimensions", where=where, fix="the file may be of another model"
        )
    width, patch, embedding_dim = convolution.shape[0], convolution.shape[2], projection.shape[1]
    grid = math.isqrt(max(positions.shape[0] - 1, 0))
    layers = len({match[1] for name in tensors if (match := _BLOCK.match(name))})
    if grid < 1 or grid * grid + 1 != positions.shape[0]:
        raise _unfit(f"has {positions.shape[0]} positions, which is no square of patches and a class token", where)
    if width % 64 or not 64 <= width <= _LARGEST_WIDTH:
        raise _unfit(f"has width {width}, which is no multiple of 64 up to {_LARGEST_WIDTH}", where)
    if not 1 <= layers <= _MOST_LAYERS:
        raise _unfit(f"has {layers} layers; 1 to {_MOST_LAYERS} are possible", where)
    if not 1 <= patch * grid <= _LARGEST_SIDE:
        raise _unfit(f"takes views of {patch * grid} pixels; 1 to {_LARGEST_SIDE} are possible", where)
    if not 1 <= embedding_dim <= _LARGEST_EMBEDDING:
        raise _unfit(f"has embeddings of {embedding_dim} channels; 1 to {_LARGEST_EMBEDDING} are possible", where)
    architecture = TransformerArchitecture(patch * grid, patch, width, layers, embedding_dim)
    size = 4 * sum(math.prod(shape) for shape in expected_shapes(architecture).values())
    if size > _MOST_BYTES:
        raise CheckpointError(
            f"needs {size / 1e9:.1f} GB in float32, and one ONNX file holds 2.1 GB",
            where=where,
            fix="use a ViT-L or smaller",
        )
    return architecture


def check_shapes(tensors: Mapping[str, torch.Tensor], architecture: TransformerArchitecture, where: Path) -> None:
    """Compares tensors with the official names and shapes; looks at no value.

    Raises:
        CheckpointError: A tensor is missing, unexpected or of a wrong shape.
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
                f"'{name}' has the shape {list(tensors[name].shape)}, wanted is {list(shape)}",
                where=where,
                fix="the file may be of another model, or damaged",
            )


def check_finite(tensors: Mapping[str, torch.Tensor], where: Path) -> None:
    """Looks at every value.

    Raises:
        CheckpointError: A tensor holds NaN or an infinity.
    """
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"'{name}' holds values that are not finite", where=where, fix="copy or download it again"
            )


def shown(name: str) -> str:
    """A name out of a file as a message may print it: quoted, shortened, control characters escaped."""
    return repr(name[:80])


def _unfit(what: str, where: Path) -> CheckpointError:
    return CheckpointError(what, where=where, fix="the file may be of another model")


def _listed(names: list[str]) -> str:
    text = ", ".join(map(shown, names[:_MOST_LISTED]))
    rest = len(names) - _MOST_LISTED
    count = counted(len(names), "tensor")
    return f"{count}: {text}" + (f" and {rest} more" if rest > 0 else "")
