"""The class names of a support cache, read from the beginning of its file in a few milliseconds.

A shell asks at every TAB. Reading the cache itself loads numpy and OpenCV, since whatever is imported from the runtime
loads all of it: more time than anybody waits for. So nothing of the runtime is imported here.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

__all__ = ["LARGEST_HEADER", "class_names_in"]

#: Bytes of the description of the tensors: what `runtime/files/tensor_file.py` reads.
LARGEST_HEADER = 1 << 24

_LENGTH = 8


def class_names_in(path: Path) -> Sequence[str]:
    """Reads the class names that a support cache says it has, `PART/CLASS` where it says that it has parts.

    What it says is not checked against its digest, so this is for names that are offered, and for nothing that counts.

    Args:
        path: The file.

    Raises:
        OSError: It is no regular file, or cannot be read.
        ValueError: It is not a support cache.
        RecursionError: The same: its description is nested too deeply.
    """
    # Opening a pipe without O_NONBLOCK would wait for someone who writes, and the shell with it.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError("is not a regular file")
        length = int.from_bytes(stream.read(_LENGTH), "little")
        if length > LARGEST_HEADER:
            raise ValueError("its beginning says that it is too large")
        header = json.loads(stream.read(length).decode())
    # The texts are read one within the other: safetensors holds texts alone, and the description is one of them.
    try:
        described = json.loads(header["__metadata__"]["mvrec_edge"])
        names = described["class_names"]
        parts = described["parts"]["of_classes"] if "parts" in described else None
    except (KeyError, TypeError) as error:
        raise ValueError("it says nothing of classes") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("its class names are no texts")
    if parts is None:
        return names
    if not isinstance(parts, list) or len(parts) != len(names):
        raise ValueError("its classes have no parts")
    return [f"{part}/{name}" for part, name in zip(parts, names, strict=True)]
