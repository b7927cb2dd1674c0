"""Opens a checkpoint file: from untrusted bytes to values, running nothing and trusting no size."""

from __future__ import annotations

import re
import stat
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mvrec_edge.export.numpy_values import NUMPY_STAND_INS
from mvrec_edge.export.pickle_screen import MOST_BYTES, TooMuchError, check_pickle
from mvrec_edge.export.saving_again import save_weights_alone
from mvrec_edge.runtime.errors import CheckpointError
from mvrec_edge.runtime.wording import counted

__all__ = ["WHERE_TO_GET", "CheckpointFile", "open_checkpoint"]

WHERE_TO_GET = "get an AlphaCLIP checkpoint from the model zoo of the AlphaCLIP repository"

# The largest official file is 1.2 GB in float32; a whole CLIP with its text tower is below 2 GB.
_LARGEST_FILE = 1 << 34
_SMALLEST_FILE = 16
_SAFETENSORS = "safetensors file"
# A whole CLIP describes its tensors in 100,000 bytes.
_LARGEST_HEADER = 1 << 24
# Tensors of all copies of the weights, and of an optimiser.
_MOST_ENTRIES = 20_000
_LONGEST_ENTRY = 256
# The end of an archive, with the longest comment.
_LONGEST_END = 22 + 65_535
# Of the old format: a number, a version, facts about the machine, the content, and the names of the tensors.
_PICKLES = 5
# Where a checkpoint in several files lists them.
_INDEX = ".index.json"
# How PyTorch's restricted unpickler names what a pickle asked for and did not get.
_REFUSED = re.compile(r"GLOBAL ([\w.]{1,80})")


@dataclass(frozen=True)
class CheckpointFile:
    """What a checkpoint file holds, before anyone has looked whether it is an encoder.

    Attributes:
        content: Tensors of any type and shape, in containers and among plain values of any kind.
        form: How the file is written, in words, such as `"PyTorch file"`.
    """

    content: Any
    form: str

    @property
    def is_safetensors(self) -> bool:
        """Whether it is a safetensors file."""
        return self.form == _SAFETENSORS


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
        return CheckpointFile(_load_safetensors(path), _SAFETENSORS)
    if head[:2] == b"PK":
        _check_archive(path, size)
        return CheckpointFile(_load_torch(path, mmap=True), "PyTorch file")
    if head[:1] == b"\x80":
        _check_old_format(path)
        return CheckpointFile(_load_torch(path, mmap=False), "PyTorch file of the old format")
    if path.name.endswith(_INDEX):
        raise CheckpointError(
            "lists the files of a checkpoint in several parts",
            where=path,
            fix="save all its tensors in one file, and export that",
        )
    raise CheckpointError("is not a checkpoint", where=path, fix=WHERE_TO_GET)


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
        with warnings.catch_warnings(), torch.serialization.safe_globals(NUMPY_STAND_INS):
            warnings.simplefilter("ignore")
            # weights_only refuses any pickle that does more than build tensors, plain containers and the stand-ins.
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
        raise CheckpointError(
            what,
            where=path,
            fix="only whoever made the file should load it; this command then saves its weights alone, to be exported: "
            + save_weights_alone(path),
        ) from None


def _check_archive(path: Path, size: int) -> None:
    """Refuses what is no PyTorch archive, before PyTorch sees it."""
    pickles = []
    try:
        _check_entries(path, size)
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            for entry in entries:
                if entry.filename.endswith("data.pkl") and entry.compress_type == zipfile.ZIP_STORED:
                    with archive.open(entry) as stream:
                        pickles.append(stream.read(MOST_BYTES))
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
    for content in pickles:
        _check_content(content, 0, path)


def _check_entries(path: Path, size: int) -> None:
    """Refuses an archive of more entries than a checkpoint has, before the list of them is read."""
    with path.open("rb") as stream:
        stream.seek(max(0, size - _LONGEST_END))
        end = stream.read()
    # PyTorch writes the numbers twice: as they always were, and for archives of more than 4 GB.
    for mark, count_at, length_at, size_of in ((b"PK\5\6", 10, 12, 2), (b"PK\6\6", 32, 40, 8)):
        place = end.rfind(mark)
        count = int.from_bytes(end[place + count_at : place + count_at + size_of], "little")
        length = int.from_bytes(end[place + length_at : place + length_at + max(4, size_of)], "little")
        if place >= 0 and (count > _MOST_ENTRIES or length > _MOST_ENTRIES * _LONGEST_ENTRY):
            raise CheckpointError("is an archive of more entries than a checkpoint has", where=path, fix=WHERE_TO_GET)


def _check_old_format(path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(MOST_BYTES)
    place = 0
    for _ in range(_PICKLES):
        place = _check_content(head, place, path)


def _check_content(content: bytes, place: int, path: Path) -> int:
    try:
        return check_pickle(content, place)
    except TooMuchError as reason:
        raise CheckpointError(
            f"holds a pickle that would take much, and was not loaded: {reason}",
            where=path,
            fix="only whoever made the file should load it; this command then saves its weights alone, to be exported: "
            + save_weights_alone(path),
        ) from None
