"""Reads an AlphaCLIP visual checkpoint, in every form in which it is met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mvrec_edge.export.checkpoint_file import WHERE_TO_GET, open_checkpoint
from mvrec_edge.export.layout import check_family, check_finite, check_shapes, expected_shapes, find_architecture, shown
from mvrec_edge.export.weights_search import find_weights
from mvrec_edge.runtime.bundle import EncoderArchitecture
from mvrec_edge.runtime.errors import CheckpointError
from mvrec_edge.runtime.files import sha256_file

__all__ = ["EncoderWeights", "read_checkpoint"]

# Integers, complex numbers and 8-bit floats without their scales are no weights.
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


@dataclass(frozen=True)
class EncoderWeights:
    """The weights of an encoder under the official names.

    Attributes:
        architecture: The encoder's size, read off the tensors.
        tensors: float32, by official name; given away to the module that is built from them. Those of a checkpoint
            that was float32 already are mapped from the file, which must stay as it is while they are in use.
        source_name: File name of the checkpoint, or the architecture's name for drawn weights.
        sha256: Hash of the checkpoint file; empty for drawn weights.
        seed: Seed of drawn weights; None for a checkpoint.
        dtype: What the checkpoint held, such as `"float16"`; several are joined by a plus sign.
        form: How the checkpoint was written, in words.
    """

    architecture: EncoderArchitecture
    tensors: dict[str, torch.Tensor]
    source_name: str
    sha256: str = ""
    seed: int | None = None
    dtype: str = "float32"
    form: str = "drawn weights"


def read_checkpoint(path: str | Path) -> EncoderWeights:
    """Reads a checkpoint: a PyTorch file or a safetensors file, told apart by their bytes.

    Taken are the official names under any one prefix, in float32, float16, bfloat16 or float64, inside any containers;
    CLIP's own names of the attention's input projection; and a whole CLIP, whose text tower is left out. Everything
    else in the file is left out.

    Args:
        path: The file.

    Returns:
        The weights in float32.

    Raises:
        CheckpointError: The file is no checkpoint, would run code, or does not hold one AlphaCLIP encoder.
    """
    path = Path(path)
    file = open_checkpoint(path)
    found = find_weights(file, path)
    values, notes = _official_names(found.values, path)
    # By name first: a ResNet's counters should not be complained of before the ResNet.
    check_family(values, path)
    stored = {name: _plain_tensor(name, value, path) for name, value in values.items()}
    # Before anything is copied: a small file can describe tensors larger than any memory.
    architecture = find_architecture(stored, path)
    found.check_one_prefix(expected_shapes(architecture), path)
    check_shapes(stored, architecture, path)
    dtypes = sorted({_dtype_name(value) for value in stored.values()})
    tensors = {name: value.detach().to(torch.float32).contiguous() for name, value in stored.items()}
    check_finite(tensors, path)
    return EncoderWeights(
        architecture,
        tensors,
        path.name,
        sha256_file(path),
        dtype="+".join(dtypes),
        form=", ".join([file.form, *found.notes, *notes]),
    )


def _official_names(values: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], list[str]]:
    """Gives the attention's input projection its official name where it has CLIP's.

    Returns:
        The values by official name, and what was changed, in words.
    """
    official: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in values.items():
        renamed = name.replace(".attn.in_proj_", ".attn.in_proj.")
        if renamed != name and not notes:
            notes.append("CLIP's attention names")
        if renamed in official:
            raise CheckpointError(
                f"{shown(renamed)} occurs twice under different names", where=path, fix="keep one of the two"
            )
        official[renamed] = value
    return official, notes


def _plain_tensor(name: str, value: Any, path: Path) -> torch.Tensor:
    """Refuses what is no dense floating point tensor with its values in the file."""
    if not isinstance(value, torch.Tensor):
        raise CheckpointError(f"{shown(name)} is no tensor", where=path, fix=WHERE_TO_GET)
    if value.dtype not in _DTYPES:
        raise CheckpointError(
            f"{shown(name)} is {_dtype_name(value)}, not floating point of 16, 32 or 64 bits",
            where=path,
            fix="save the weights as float32, float16 or bfloat16",
        )
    if value.layout != torch.strided or value.is_nested or value.device.type != "cpu":
        raise CheckpointError(
            f"{shown(name)} is sparse, nested or without values", where=path, fix="save it as a dense tensor"
        )
    return value


def _dtype_name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
