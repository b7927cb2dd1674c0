"""View embeddings kept on disk, so that a second run over the same images encodes nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.files import atomic_write, canonical_json, sha256_bytes, sha256_file, writing
from mvrec_edge.runtime.files.regular_files import read_bounded
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.views import ViewPlan

__all__ = ["EmbeddingStore", "entry_bytes"]

_HASH_BYTES = 32


class EmbeddingStore:
    """A folder of embeddings, one file for each region, named after everything the embedding depends on.

    That is the content of the image file, the region, the view plan, and the fingerprint of the encoder; where any of
    these changes, the name is another and nothing stale can be read. A file is the SHA-256 of its name and its values,
    and the values, little-endian float32; one that does not fit its hash counts as missing.

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
        size = _HASH_BYTES + shape[0] * shape[1] * 4
        try:
            content = read_bounded(self._path(key), size)
        except OSError:
            return None
        if len(content) != size or content[:_HASH_BYTES] != _hash(key, content[_HASH_BYTES:]):
            return None
        values = np.frombuffer(content, "<f4", offset=_HASH_BYTES).reshape(shape).astype(np.float32)
        if not np.isfinite(values).all():
            return None
        self.found += 1
        return values

    def put(self, key: str, embedding: npt.NDArray[np.float32]) -> None:
        """Keeps an embedding, float32 `[V, C]`."""
        values = np.ascontiguousarray(embedding, "<f4").tobytes()
        with writing(self.folder):
            self._path(key).parent.mkdir(exist_ok=True)
        with atomic_write(self._path(key)) as stream:
            stream.write(entry_bytes(key, values))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.f32"


def entry_bytes(key: str, values: bytes) -> bytes:
    """The content of an entry: its hash, and the values."""
    return _hash(key, values) + values


def _hash(key: str, values: bytes) -> bytes:
    return hashlib.sha256(key.encode() + values).digest()
