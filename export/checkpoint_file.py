"""Opens a checkpoint file: from untrusted bytes to named values, running nothing and trusting no size."""

from __future__ import annotations

import re
import stat
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mvrec_edge.runtime.errors import CheckpointError
from mvrec_edge.runtime.wording import counted

__all__ = ["WHERE_TO_GET", "CheckpointFile", "open_checkpoint"]

WHERE_TO_GET = "get an AlphaCLIP checkpoint from the model zoo of the AlphaCLIP repository"

# The largest official file is 1.2 GB in float32; a whole CLIP with its text tower is below 2 GB.
_LARGEST_FILE = 1 << 34
_SMALLEST_FILE = 16
# What the safetensors library itself allows.
_LARGEST_HEADER = 100_000_000
_WRAPPERS = ("state_dict", "model")
_MOST_WRAPPERS = 4
# How PyTorch's restricted unpickler names what a pickle asked for and did not get.
_REFUSED = re.compile(r"GLOBAL ([\w.]{1,80})")


@dataclass(frozen=True)
class CheckpointFile:
    """What a checkpoint file holds, before anyone has looked whether it is an encoder.

    Attributes:
        state: Values by name; tensors may be of any type and shape.
        form: How the file is written, in words, such as `"PyTorch file, inside 'state_dict'"`.
    """

    state: Mapping[str, Any]
    form: str


def open_checkpoint(path: Path) -> CheckpointFile:
    """Reads a PyTorch file or a safetensors file, told apart by their bytes.

    Where the format allows, tensors are mapped from the file rather than read, so the file must stay as it is
    while they are in use.

    Args:
        path: The file.

    Raises:
        CheckpointError: The file cannot be read, is no checkpoint, is damaged, or would run code.
    """
    size, head = _peek(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _LARGEST_HEADER:
        loaded, form = _load_safetensors(path), "safetensors file"
    elif head[:2] == b"PK":
        _check_archive(path, size)
        loaded, form = _load_torch(path, mmap=True), "PyTorch file"
    elif head[:1] == b"\x80":
        loaded, form = _load_torch(path, mmap=False), "PyTorch file of the old format"
    else:
        raise CheckpointError("is not a checkpoint", where=path, fix=WHERE_TO_GET)
    for _ in range(_MOST_WRAPPERS):
        inside = next((name for name in _WRAPPERS if isinstance(_inside(loaded, name), Mapping)), None)
        if inside is None:
            break
        loaded, form = loaded[inside], f"{form}, inside '{inside}'"
    if not isinstance(loaded, Mapping):
        raise CheckpointError(
            f"holds a {type(loaded).__name__} and no named tensors", where=path, fix="save a state_dict"
        )
    state = {name: value for name, value in loaded.items() if isinstance(name, str)}
    if not any(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError("holds no named tensors", where=path, fix=WHERE_TO_GET)
    return CheckpointFile(state, form)


def _inside(loaded: Any, name: str) -> Any:
    return loaded.get(name) if isinstance(loaded, Mapping) else None


def _peek(path: Path) -> tuple[int, bytes]:
    """Size and first bytes of a file."""
    try:
        status = path.stat()
        # Asked before it is opened: a named pipe would keep us waiting for a writer.
        if not stat.S_ISREG(status.st_mode):
            what = "is a folder" if stat.S_ISDIR(status.st_mode) else "is not a file"
            raise CheckpointError(f"{what}, not a checkpoint", where=path, fix="give the checkpoint file")
        with path.open("rb") as stream:
            head = stream.read(_SMALLEST_FILE)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"cannot be read: {reason}", where=path, fix="check the path") from error
    if status.st_size == 0:
        raise CheckpointError("is empty", where=path, fix="copy or download it again")
    if not _SMALLEST_FILE <= status.st_size <= _LARGEST_FILE:
        raise CheckpointError(
            f"has {counted(status.st_size, 'byte')}, which no checkpoint has", where=path, fix=WHERE_TO_GET
        )
    return status.st_size, head


def _load_safetensors(path: Path) -> Any:
    import safetensors.torch

    try:
        return safetensors.torch.load_file(path)
    # The library passes on whatever PyTorch or its own parser raise at a forged header.
    except Exception as error:
        raise CheckpointError("is a cut or damaged safetensors file", where=path, fix="copy it again") from error


def _load_torch(path: Path, *, mmap: bool) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # weights_only refuses any pickle that does more than build tensors and plain containers.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    # PyTorch raises many types here, and its texts run over many lines and advise to switch the guard off.
    except Exception as error:
        text = str(error)
        if refused := _REFUSED.search(text):
            what = f"holds a pickle that is more than weights, and was not run: it asks for '{refused[1]}'"
        elif "eights only" in text or "weights_only" in text:
            what = "holds a pickle that is damaged or more than weights, and was not run"
        else:
            raise CheckpointError("is damaged, or is not a checkpoint", where=path, fix="copy it again") from None
        raise CheckpointError(what, where=path, fix="get the checkpoint from a source you trust") from None


def _check_archive(path: Path, size: int) -> None:
    """Refuses what is no PyTorch archive, before PyTorch sees it."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError("is cut or damaged", where=path, fix="copy it again") from error
    names = [entry.filename for entry in entries]
    if any(name.endswith("/constants.pkl") for name in names):
        raise CheckpointError(
            "is a TorchScript archive, which is code", where=path, fix="save its state_dict with torch.save"
        )
    if not any(name.endswith("data.pkl") for name in names):
        raise CheckpointError("is a zip file and no checkpoint", where=path, fix=WHERE_TO_GET)
    # PyTorch stores entries as they are; a packed one could grow a thousandfold in memory.
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size for entry in entries):
        raise CheckpointError(
            "is a packed archive, which PyTorch does not write", where=path, fix="save it again with torch.save"
        )
