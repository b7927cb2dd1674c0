"""View embeddings kept on disk, so that a second run over the same images encodes nothing."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.labelled import LabelledRegion, group_by_image
from mvrec_edge.runtime.engines import Engine
from mvrec_edge.runtime.engines.encoding import ImageRegions, encode_images
from mvrec_edge.runtime.files import atomic_write, canonical_json, sha256_bytes, sha256_file, writing
from mvrec_edge.runtime.images import read_image
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.views import ViewPlan

__all__ = ["EmbeddingStore", "encode_instances"]


class EmbeddingStore:
    """A folder of embeddings, one file for each region, named after everything the embedding depends on.

    That is the content of the image file, the region, the view plan, and the fingerprint of the encoder; where any of
    these changes, the name is another and nothing stale can be read.

    Args:
        folder: The folder, made where it does not exist.

    Raises:
        OutputError: The folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
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
        try:
            values = np.load(self._path(key), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        usable = isinstance(values, np.ndarray) and values.dtype == np.float32 and values.shape == shape
        return values if usable and np.isfinite(values).all() else None

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


def encode_instances(
    engine: Engine,
    instances: Sequence[LabelledRegion],
    plan: ViewPlan,
    *,
    store: EmbeddingStore | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[npt.NDArray[np.float32], int]:
    """Encodes instances, taking from the store what it has.

    Args:
        engine: The engine.
        instances: The instances.
        plan: The views to cut.
        store: Where embeddings are kept between runs.
        progress: Called with a number of views as they are done, encoded or found.

    Returns:
        float32 `[len(instances), V, C]`, and how many instances were encoded rather than found.
    """
    shape = (plan.count, engine.embedding_dim)
    embeddings = np.empty((len(instances), *shape), np.float32)
    keys: list[str | None] = [None] * len(instances)
    missing: list[int] = []
    for index, instance in enumerate(instances):
        found = None
        if store is not None:
            keys[index] = key = store.key(instance.image, instance.region, plan, engine.fingerprint)
            found = store.get(key, shape)
        if found is None:
            missing.append(index)
        else:
            embeddings[index] = found
            progress(plan.count)
    items = (
        ImageRegions(
            [missing[place] for place in places], read_image(path), [instances[missing[p]].region for p in places]
        )
        for path, places in group_by_image([instances[index] for index in missing]).items()
    )
    for encoded in encode_images(engine, plan, items, progress):
        for index, embedding in zip(encoded.item.key, encoded.embeddings, strict=True):
            embeddings[index] = embedding
            if store is not None:
                store.put(str(keys[index]), embedding)
    return embeddings, len(missing)
