"""Compares an exported graph in ONNX Runtime with the PyTorch module it was traced from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped,unused-ignore]
import torch

from mvrec_edge.export.views_encoder import ViewsEncoder
from mvrec_edge.runtime.bundle import CheckRecord

__all__ = ["FLOAT32_LIMITS", "GraphCheck", "Limits", "check_graph", "seeded_views"]

# Views that PyTorch encodes at once: bounds its memory, and costs no time on a CPU.
_CHUNK = 9


@dataclass(frozen=True)
class Limits:
    """What a graph must reach.

    Attributes:
        cosine: Smallest allowed cosine between the two embeddings of a view.
        error: Largest allowed difference of a component, as a share of the embedding's norm.
    """

    cosine: float
    error: float


FLOAT32_LIMITS = Limits(cosine=0.99999, error=1e-4)


@dataclass(frozen=True)
class GraphCheck:
    """What came of a comparison.

    Attributes:
        rows: One record for each kind of views and each batch size.
    """

    rows: tuple[CheckRecord, ...]

    @property
    def worst_cosine(self) -> float:
        """The smallest cosine of all."""
        return min(row.worst_cosine for row in self.rows)

    @property
    def largest_error(self) -> float:
        """The largest error of all, as a share of the norm."""
        return max(row.largest_error for row in self.rows)

    def passed(self, limits: Limits = FLOAT32_LIMITS) -> bool:
        """Whether every batch keeps the limits; a value that is not finite never does."""
        return all(row.worst_cosine >= limits.cosine and row.largest_error <= limits.error for row in self.rows)


def check_graph(
    path: Path,
    module: ViewsEncoder,
    kinds: Mapping[str, npt.NDArray[np.uint8]],
    batches: Sequence[int],
    progress: Callable[[int], None] = lambda _: None,
) -> GraphCheck:
    """Runs views through the graph and the module and compares.

    Args:
        path: The ONNX file.
        module: The module it was traced from.
        kinds: Views by kind, uint8 `[N, S, S, 4]`, N at least the largest batch.
        batches: Batch sizes to run.
        progress: Called with a number of views as they are done, by either side.

    Returns:
        The comparison; it does not judge.
    """
    wanted = {kind: _encode(module, views[: max(batches)], progress) for kind, views in kinds.items()}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rows = []
    for kind, views in kinds.items():
        for batch in batches:
            (got,) = session.run(["embedding"], {"views": views[:batch]})
            rows.append(_compare(kind, batch, got, wanted[kind][:batch]))
            progress(batch)
    return GraphCheck(tuple(rows))


def seeded_views(count: int, image_size: int, *, seed: int) -> npt.NDArray[np.uint8]:
    """Views of pure noise, uint8 `[count, S, S, 4]`, the same for a seed everywhere."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.integers(0, 256, (count, image_size, image_size, 4), dtype=np.uint8)


def _encode(
    module: ViewsEncoder, views: npt.NDArray[np.uint8], progress: Callable[[int], None]
) -> npt.NDArray[np.float64]:
    parts = []
    with torch.inference_mode():
        for start in range(0, len(views), _CHUNK):
            part = torch.from_numpy(views[start : start + _CHUNK])
            parts.append(module(part).double().numpy())
            progress(len(part))
    return np.concatenate(parts)


def _compare(kind: str, batch: int, got: npt.NDArray[np.float32], want: npt.NDArray[np.float64]) -> CheckRecord:
    if got.shape != want.shape or not np.isfinite(got).all():
        # As far apart as embeddings can be; still numbers, so that they can be printed and stored.
        return CheckRecord(kind, batch, worst_cosine=-1.0, largest_error=1e9)
    norm = np.linalg.norm(want, axis=1)
    cosine = (got * want).sum(axis=1) / (np.linalg.norm(got.astype(np.float64), axis=1) * norm)
    error = np.abs(got - want).max(axis=1) / norm
    return CheckRecord(kind, batch, worst_cosine=float(cosine.min()), largest_error=float(error.max()))
