"""View embeddings kept on disk, so that a second run over the same images encodes nothing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.files import atomic_write, canonical_json, sha256_bytes, sha256_file, writing
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.views import ViewPlan

__all__ = ["EmbeddingStore"]


class EmbeddingStore:
    """A folder of embeddings, one file for each region, named after everything the embedding depends on.

    That is the content of the image file, the region, the view plan, and the fingerprint of the encoder; where any of
    these changes, the name is another and nothing stale can be read.

    Args:
        folder: The folder, made where it does not exist.

    Attributes:
        found: Embeddings that were there when they were asked for, so far.

    Raises:
        OutputError: The folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found = 0
        self._image_hashes: dict[Path, str] = {}
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def key(self, image: Path, region: Region, plan: ViewPlan, fingerprint: str) -> str:
        """The name under which a region's embedding is kept."""
        if image not in self._image_hashes:
            self._image_hashes[image] = sha256_file(image)
        parts = {
            "image": self._image_hashes[image],
            "box": list(region.box),
            "origin": list(region.origin),
            "patch": sha256_bytes(canonical_json(list(region.patch.shape)), region.patch.tobytes()),
            "plan": plan.to_dict(),
            "encoder": fingerprint,
        }
        return sha256_bytes(canonical_json(parts))

    def get(self, key: str, shape: tuple[int, int]) -> npt.NDArray[np.float32] | None:
        """The embedding kept under a key, float32 `[V, C]`, or None where there is none that is whole."""
        values: npt.NDArray[np.float32]
        try:
            values = np.load(self._path(key), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        usable = isinstance(values, np.ndarray) and values.dtype == np.float32 and values.shape == shape
        if not usable or not np.isfinite(values).all():
            return None
        self.found += 1
        return values

    def put(self, key: str, embedding: npt.NDArray[np.float32]) -> None:
        """Keeps an embedding, float32 `[V, C]`."""
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(embedding, np.float32), allow_pickle=False)
        with writing(self.folder):
            self._path(key).parent.mkdir(exist_ok=True)
        with atomic_write(self._path(key)) as stream:
            stream.write(buffer.getvalue())

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npy"
