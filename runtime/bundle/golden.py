"""A few views and their embeddings, so that a target machine can show that it computes what the export did."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.bundle.bundle import Bundle
from mvrec_edge.runtime.errors import IntegrityError
from mvrec_edge.runtime.files import atomic_write
from mvrec_edge.runtime.files.tensor_file import read_tensors

__all__ = ["GOLDEN_NAME", "Golden"]

GOLDEN_NAME = "golden.safetensors"

_REFERENCE = "reference"


@dataclass(frozen=True)
class Golden:
    """Golden views.

    Attributes:
        views: uint8 `[G, S, S, 4]`.
        reference: float32 `[G, C]`, the embeddings of the PyTorch module in float32.
        embeddings: For each precision float32 `[G, C]`, what its graph answered when it was exported.
    """

    views: npt.NDArray[np.uint8]
    reference: npt.NDArray[np.float32]
    embeddings: Mapping[str, npt.NDArray[np.float32]]

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all.

        Raises:
            OutputError: It cannot be written.
        """
        import safetensors.numpy

        tensors: dict[str, npt.NDArray[Any]] = {"views": self.views, _REFERENCE: self.reference}
        tensors |= {f"embeddings.{name}": values for name, values in self.embeddings.items()}
        with atomic_write(path) as stream:
            stream.write(safetensors.numpy.save(tensors))

    @classmethod
    def of(cls, bundle: Bundle) -> Golden:
        """Reads the golden views of a bundle.

        Raises:
            IntegrityError: The bundle has none, or they do not fit its encoder.
        """
        path = bundle.path / GOLDEN_NAME
        with contextlib.closing(bundle.hold_file(GOLDEN_NAME)) as file:
            tensors, _ = read_tensors(path, "a file of golden views")
            file.check_place()
        size, channels = bundle.architecture.image_size, bundle.architecture.embedding_dim
        views = tensors.get("views", np.empty(0, np.uint8))
        names = [_REFERENCE, *(f"embeddings.{name}" for name in bundle.precisions)]
        found = [tensors.get(name, np.empty(0, np.float32)) for name in names]
        if (
            views.dtype != np.uint8
            or views.shape[1:] != (size, size, 4)
            or any(item.dtype != np.float32 or item.shape != (len(views), channels) for item in found)
        ):
            raise IntegrityError("does not fit the bundle's encoder", where=path, fix="export the bundle again")
        return cls(views, found[0], dict(zip(bundle.precisions, found[1:], strict=True)))
