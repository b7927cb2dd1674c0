"""Reading safetensors files from outside, whose sizes are bounded before the library sees them.

A file is opened once and read once: another may take its place meanwhile, and header and tensors stay of one file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy.typing as npt

from mvrec_edge.runtime.errors import InputError

__all__ = ["read_tensors"]

# 100,000 instances of 27 views of ViT-L/14 in float16 are 4.1 GB; nothing read here is larger.
_LARGEST_FILE = 1 << 33
_LARGEST_HEADER = 1 << 26


def read_tensors(path: Path, what: str) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Reads a safetensors file.

    Args:
        path: The file.
        what: What it should be, for messages, such as `"a support cache"`.

    Returns:
        The tensors by name, and the metadata.

    Raises:
        InputError: The file cannot be read, or is not a safetensors file.
    """
    import safetensors
    import safetensors.numpy

    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            header_size = int.from_bytes(stream.read(8), "little")
            if not 8 < size <= _LARGEST_FILE or header_size > min(size - 8, _LARGEST_HEADER):
                raise InputError(f"is not {what}, or only a part of one", where=path, fix="give the right file")
            stream.seek(0)
            data = stream.read(size)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=path, fix="check the path") from error
    try:
        metadata = json.loads(data[8 : 8 + header_size]).get("__metadata__") or {}
        tensors = safetensors.numpy.load(data)
    except (ValueError, AttributeError, RecursionError, TypeError, KeyError, safetensors.SafetensorError) as error:
        raise InputError(f"is not {what}, or is damaged", where=path, fix="give the right file") from error
    return tensors, metadata if isinstance(metadata, dict) else {}
