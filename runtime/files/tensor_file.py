"""Reading safetensors files from outside: bounded, and without a library that would parse them before they are checked.

A file is opened once and read once: another may take its place meanwhile, and header and tensors stay of one file. The
arrays lie in what was read, so reading takes the memory of the file and no more.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import InputError
from mvrec_edge.runtime.files.json_documents import parse_json
from mvrec_edge.runtime.files.regular_files import open_regular

__all__ = ["LARGEST_HEADER", "read_tensors", "tensors_in"]

# 100,000 instances of 27 views of ViT-L/14 in float16 are 4.1 GB; nothing read here is larger.
LARGEST_TENSORS = 1 << 33
#: Bytes of the description of the tensors. Of a support cache with 80,000 instances, whose names have 150 letters.
LARGEST_HEADER = 1 << 24

_LENGTH = 8
_METADATA = "__metadata__"
_MOST_DIMENSIONS = 8
# The types that numpy has, by the format's names for them.
_TYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}


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
    try:
        with open_regular(path) as stream:
            return tensors_in(stream, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=path, fix="check the path") from error
    except ValueError as error:
        raise InputError(
            f"is not {what}, or is damaged: {error}", where=path, fix="give the right file, or copy it again"
        ) from error


def tensors_in(stream: BinaryIO, size: int) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """Reads the tensors and the metadata of a stream that holds a safetensors file.

    The format: eight bytes with the length of the header, the header in JSON, then the tensors one after the other
    without a gap, each with its place, type and shape in the header. https://github.com/huggingface/safetensors

    Args:
        stream: The stream.
        size: Its bytes.

    Raises:
        ValueError: The bytes are not of this format, or of a type that numpy does not have.
        OSError: The stream cannot be read.
    """
    length = int.from_bytes(stream.read(_LENGTH), "little")
    room = size - _LENGTH - length
    if not 0 < length <= LARGEST_HEADER or not 0 <= room <= LARGEST_TENSORS:
        raise ValueError("its beginning says that it is cut or too large")
    header = parse_json(stream.read(length))
    if not isinstance(header, dict):
        raise ValueError("it has no header")
    metadata = header.pop(_METADATA, None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata are not texts")
    entries = {name: _entry(entry) for name, entry in header.items()}
    end = 0
    for entry in sorted(entries.values(), key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != end:
            raise ValueError("its tensors do not lie one after the other")
        end = entry.end
    if end != room:
        raise ValueError("its tensors do not end with it")
    # Nothing was read of them so far: a header that does not fit costs no memory.
    data = np.empty(room, np.uint8)
    view = data.data
    while view.nbytes and (count := stream.readinto(view)):  # type: ignore[attr-defined]
        view = view[count:]
    if view.nbytes:
        raise ValueError("it became shorter while it was read")
    return {name: data[each.begin : each.end].view(each.dtype).reshape(each.shape) for name, each in entries.items()}, (
        metadata
    )


class _Entry(NamedTuple):
    """What the header says of a tensor; places are counted from the end of the header."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def _entry(entry: Any) -> _Entry:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError("an entry of its header is no tensor")
    kind, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _TYPES:
        raise ValueError("a tensor is of a type that numpy does not have")
    if not _counts(shape, _MOST_DIMENSIONS) or not _counts(place, 2) or len(place) != 2:
        raise ValueError("a tensor has no shape or no place")
    dtype = np.dtype(_TYPES[kind])
    # A size of 0 beside one of 2^33 takes no bytes, but numpy takes no such shape.
    if place[1] - place[0] != math.prod(shape) * dtype.itemsize or (0 in shape and max(shape) > 1 << 20):
        raise ValueError("a tensor does not fit its place")
    return _Entry(dtype, tuple(shape), *place)


def _counts(found: Any, most: int) -> bool:
    """Whether it is a list of a few sizes of what a file may hold."""
    return (
        isinstance(found, list)
        and len(found) <= most
        and all(type(each) is int and 0 <= each <= LARGEST_TENSORS for each in found)
    )
