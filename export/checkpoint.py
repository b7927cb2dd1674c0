"""Reads an AlphaCLIP visual checkpoint, in every form in which it is met."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mvrec_edge.export.layout import check_tensors, find_architecture
from mvrec_edge.runtime.bundle import EncoderArchitecture
from mvrec_edge.runtime.errors import CheckpointError
from mvrec_edge.runtime.files import sha256_file

__all__ = ["EncoderWeights", "read_checkpoint"]

# The largest official file is 1.2 GB in float32; a whole CLIP with its text tower is below 2 GB.
_LARGEST_FILE = 1 << 34
_WHERE_TO_GET = "get an AlphaCLIP checkpoint from the model zoo of the AlphaCLIP repository"
_WRAPPERS = ("state_dict", "model")
_PREFIXES = ("module.", "visual.")


@dataclass(frozen=True)
class EncoderWeights:
    """The weights of an encoder under the official names.

    Attributes:
        architecture: The encoder's size, read off the tensors.
        tensors: float32, by official name; given away to the module that is built from them.
        source_name: File name of the checkpoint, or the architecture's name for drawn weights.
        sha256: Hash of the checkpoint file; empty for drawn weights.
        seed: Seed of drawn weights; None for a checkpoint.
    """

    architecture: EncoderArchitecture
    tensors: dict[str, torch.Tensor]
    source_name: str
    sha256: str = ""
    seed: int | None = None


def read_checkpoint(path: str | Path) -> EncoderWeights:
    """Reads a checkpoint: a PyTorch file or a safetensors file, told apart by their bytes.

    Taken are the official names, with or without the prefixes `visual.` and `module.`, in float32, float16 or
    bfloat16, alone or inside `{"state_dict": ...}`; the text tower of a whole CLIP is left out.

    Args:
        path: The file.

    Returns:
        The weights in float32.

    Raises:
        CheckpointError: The file is no checkpoint, would run code, or does not hold an AlphaCLIP encoder.
    """
    path = Path(path)
    loaded = _load(path)
    tensors = _official_names(_state_dict(loaded, path), path)
    architecture = find_architecture(tensors, path)
    check_tensors(tensors, architecture, path)
    return EncoderWeights(architecture, tensors, path.name, sha256_file(path))


def _load(path: Path) -> Any:
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror or error}", where=path, fix="check the path") from error
    if not 16 <= size <= _LARGEST_FILE:
        raise CheckpointError(f"has {size} bytes, which no checkpoint has", where=path, fix=_WHERE_TO_GET)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        return _load_safetensors(path)
    return _load_torch(path, head)


def _load_safetensors(path: Path) -> Any:
    import safetensors
    import safetensors.torch

    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, ValueError, RuntimeError) as error:
        raise CheckpointError("is a damaged safetensors file", where=path, fix="copy it again") from error


def _load_torch(path: Path, head: bytes) -> Any:
    archive = head[:2] == b"PK"
    if archive:
        _check_archive(path)
    elif head[:1] != b"\x80":
        raise CheckpointError("is not a checkpoint", where=path, fix=_WHERE_TO_GET)
    try:
        # weights_only refuses any pickle that does more than build tensors and plain containers; nothing is run.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True if archive else None)
    except Exception as error:
        text = str(error)
        refused = re.search(r"(?:GLOBAL|class|function|global):?\s+([\w.]+)", text)
        if "Unsupported" in text or "weights_only" in text or "Weights only" in text:
            what = "holds a pickle that is more than weights, and was not run"
            if refused is not None:
                what += f": it asks for '{refused[1][:80]}'"
            raise CheckpointError(what, where=path, fix="get the checkpoint from a source you trust") from None
        raise CheckpointError("is damaged, or is not a checkpoint", where=path, fix="copy it again") from None


def _check_archive(path: Path) -> None:
    """Refuses what is no PyTorch archive, before PyTorch sees it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise CheckpointError("is cut or damaged", where=path, fix="copy it again") from error
    if any(name.endswith("/constants.pkl") for name in names):
        raise CheckpointError(
            "is a TorchScript archive, which is code", where=path, fix="save its state_dict with torch.save"
        )
    if not any(name.endswith("data.pkl") for name in names):
        raise CheckpointError("is a zip file and no checkpoint", where=path, fix=_WHERE_TO_GET)


def _state_dict(loaded: Any, path: Path) -> Mapping[str, torch.Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping):
        raise CheckpointError(
            f"holds a {type(loaded).__name__} and no named tensors", where=path, fix="save a state_dict"
        )
    tensors = {name: value for name, value in loaded.items() if isinstance(name, str)}
    if not tensors or not any(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise CheckpointError("holds no named tensors", where=path, fix=_WHERE_TO_GET)
    return tensors


def _official_names(state: Mapping[str, Any], path: Path) -> dict[str, torch.Tensor]:
    """Takes prefixes off, leaves a text tower out, and converts to float32."""
    plain = [(_without(name, ("module.",)), value) for name, value in state.items()]
    if any(name.startswith("visual.") for name, _ in plain):
        plain = [(name, value) for name, value in plain if name.startswith("visual.")]
    tensors: dict[str, torch.Tensor] = {}
    for name, value in plain:
        official = _without(name, _PREFIXES).replace(".attn.in_proj_", ".attn.in_proj.")
        if not isinstance(value, torch.Tensor):
            raise CheckpointError(f"'{official[:80]}' is no tensor", where=path, fix=_WHERE_TO_GET)
        if not value.is_floating_point():
            raise CheckpointError(f"'{official[:80]}' is {value.dtype}, not floating point", where=path)
        if official in tensors:
            raise CheckpointError(f"'{official[:80]}' occurs twice under different prefixes", where=path)
        tensors[official] = value.detach().to(torch.float32).contiguous()
    return tensors


def _without(name: str, prefixes: tuple[str, ...]) -> str:
    while True:
        shorter = next((name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)), name)
        if shorter == name:
            return name
        name = shorter
