"""Compares an exported graph with the PyTorch module it was traced from."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mvrec_edge.export.graph_file import weights_of
from mvrec_edge.export.views_encoder import ViewsModule
from mvrec_edge.runtime.bundle import CheckRecord, PrecisionLimits, limits_of
from mvrec_edge.runtime.bundle.screen import screen_onnx
from mvrec_edge.runtime.engines.engine import Session
from mvrec_edge.runtime.engines.onnxruntime import open_session
from mvrec_edge.runtime.engines.openvino import OpenVinoSession
from mvrec_edge.runtime.errors import EnvironmentUnfitError, MvrecEdgeError

__all__ = [
    "FLOAT32_LIMITS",
    "GraphCheck",
    "Runner",
    "certifying_engine",
    "compare_all",
    "compare_embeddings",
    "compare_runner",
    "open_runner",
    "reference_embeddings",
    "seeded_views",
]

# Views that PyTorch encodes at once: bounds its memory, and costs no time on a CPU.
_CHUNK = 9
# Stands for an error that is no number.
_FAR = 1e9

Views = npt.NDArray[np.uint8]
Embeddings = npt.NDArray[np.float32]

#: Computes one batch, uint8 `[n, S, S, 4]` to `[n, C]`.
Runner = Callable[[npt.NDArray[np.uint8]], npt.NDArray[Any]]

FLOAT32_LIMITS = limits_of("fp32")


@dataclass(frozen=True)
class GraphCheck:
    """What came of a comparison.

    Attributes:
        rows: One for each kind of views and each batch size.
    """

    rows: tuple[CheckRecord, ...]

    @property
    def worst_cosine(self) -> float:
        """The smallest cosine of all."""
        return min(row.worst_cosine for row in self.rows)

    @property
    def largest_error(self) -> float:
        """The largest error of all, between batches as well, as a share of the norm."""
        return max(max(row.largest_error, row.batch_error) for row in self.rows)

    def passed(self, limits: PrecisionLimits = FLOAT32_LIMITS, judged: str = "") -> bool:
        """Whether the batches keep the limits; a value that is not finite never does, nor does an empty check.

        Args:
            limits: The limits.
            judged: The kind of views they are held against; empty for every kind.
        """
        rows = [row for row in self.rows if judged in ("", row.kind)]
        return bool(rows) and all(
            row.worst_cosine >= limits.cosine and row.largest_error <= limits.error and row.batch_error <= limits.error
            for row in rows
        )

    def to_dict(self) -> dict[str, Any]:
        """The check in plain JSON types."""
        return {"rows": [dataclasses.asdict(row) for row in self.rows]}


def compare_runner(
    run: Runner,
    kinds: Mapping[str, Views],
    wanted: Mapping[str, npt.NDArray[np.float64]],
    batches: Sequence[int],
    progress: Callable[[int], None] = lambda _: None,
) -> GraphCheck:
    """Compares what a graph answers with the module's embeddings.

    Args:
        run: The graph, as `open_runner` gives it.
        kinds: Views by kind, uint8 `[N, S, S, 4]`, N at least the largest batch.
        wanted: For each kind the module's embeddings, `[N, C]`.
        batches: Batch sizes to run, from 1 on.
        progress: Called with a number of views as they are done.

    Returns:
        The comparison; it does not judge.

    Raises:
        ValueError: A kind has fewer views than the largest batch, or there is nothing to compare.
        EnvironmentUnfitError: The graph cannot be run.
    """
    _require_views(kinds, batches)
    rows = []
    for kind, views in kinds.items():
        first: Embeddings | None = None
        for batch in sorted(batches):
            got = run(views[:batch])
            row = _compare(kind, batch, got, wanted[kind][:batch], got if first is None else first)
            # A batch that went wrong is no reference for the next; it fails the check by itself.
            if first is None and row.worst_cosine > -1.0:
                first = got
            rows.append(row)
            progress(batch)
    return GraphCheck(tuple(rows))


def compare_all(
    run: Runner,
    kind: str,
    views: Views,
    wanted: npt.NDArray[np.float64],
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[CheckRecord, Embeddings]:
    """Runs every view of a kind in pieces of bounded memory.

    Args:
        run: The graph, as `open_runner` gives it.
        kind: What the views are.
        views: uint8 `[N, S, S, 4]`, at least one.
        wanted: The module's embeddings, `[N, C]`.
        progress: Called with a number of views as they are done.

    Returns:
        One comparison over all of them, and the graph's embeddings `[N, C]`.
    """
    parts = []
    for start in range(0, len(views), _CHUNK):
        parts.append(run(np.ascontiguousarray(views[start : start + _CHUNK])))
        progress(len(parts[-1]))
    got = np.concatenate(parts)
    return _compare(kind, min(_CHUNK, len(views)), got, wanted, got), got


def compare_embeddings(kind: str, got: Embeddings, wanted: npt.NDArray[np.float64]) -> CheckRecord:
    """Compares embeddings of one batch, both `[N, C]`; see `CheckRecord`."""
    return _compare(kind, len(got), got, wanted, got)


@contextlib.contextmanager
def open_runner(
    path: Path, precision: str, *, weights: Path | None = None, domains: Collection[str] = ()
) -> Iterator[Runner]:
    """Opens a graph with the library that its certificate is made with; see `certifying_engine`.

    Args:
        path: The ONNX file, which is screened as those of a bundle are.
        precision: Its precision.
        weights: The file that holds its weights; by default `weights_of(path)`.
        domains: Whose operators it may use beside ONNX's own.

    Raises:
        IntegrityError: It holds something that no bundle may hold.
        EnvironmentUnfitError: The library cannot load or, while it is open, run the graph.
        MissingDependencyError: The library is not installed.
    """
    weights = weights or weights_of(path)
    screen_onnx(path, weights if weights.exists() else None, domains)
    session: Session
    engine = certifying_engine(precision)
    try:
        session = OpenVinoSession(path, precision) if engine == "openvino" else open_session(path, precision)
        yield session.run
    except MvrecEdgeError:
        raise
    # What the libraries raise has no common type.
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0][:160]
        raise EnvironmentUnfitError(
            f"{engine} cannot run the graph: {first}",
            where=path.name,
            fix="try another version of it, and report this",
        ) from error
    else:
        session.close()


def certifying_engine(precision: str) -> str:
    """The engine that checks a graph: ONNX Runtime, but OpenVINO for bf16, which the former lacks on a CPU."""
    return "openvino" if precision == "bf16" else "onnxruntime"


def _require_views(kinds: Mapping[str, Views], batches: Sequence[int]) -> None:
    if not kinds or not batches or min(batches) < 1:
        raise ValueError("a check needs views and batches of at least one view")
    if short := [kind for kind, views in kinds.items() if len(views) < max(batches)]:
        raise ValueError(f"the views '{short[0]}' are fewer than the largest batch, {max(batches)}")


def seeded_views(count: int, image_size: int, *, seed: int) -> npt.NDArray[np.uint8]:
    """Views of pure noise, uint8 `[count, S, S, 4]`, the same for a seed everywhere."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.integers(0, 256, (count, image_size, image_size, 4), dtype=np.uint8)


def reference_embeddings(
    module: ViewsModule, views: Views, progress: Callable[[int], None] = lambda _: None
) -> npt.NDArray[np.float64]:
    """What the module answers in float32, in pieces of bounded memory: `[N, S, S, 4]` to `[N, C]`."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(views), _CHUNK):
            part = torch.from_numpy(views[start : start + _CHUNK])
            parts.append(module(part).double().numpy())
            progress(len(part))
    return np.concatenate(parts)


def _compare(kind: str, batch: int, got: Embeddings, want: npt.NDArray[np.float64], first: Embeddings) -> CheckRecord:
    got_norm = np.linalg.norm(got.astype(np.float64), axis=-1)
    norm = np.linalg.norm(want, axis=1)
    if got.shape != want.shape or not np.isfinite(got).all() or not (got_norm > 0).all() or not (norm > 0).all():
        # As far apart as embeddings can be; still numbers, so that they can be printed and stored.
        return CheckRecord(kind, batch, worst_cosine=-1.0, mean_cosine=-1.0, largest_error=_FAR)
    cosine = (got * want).sum(axis=1) / (got_norm * norm)
    error = np.abs(got - want).max(axis=1) / norm
    among_batches = np.abs(got[: len(first)] - first).max(axis=1) / norm[: len(first)]
    return CheckRecord(
        kind,
        batch,
        worst_cosine=float(cosine.min()),
        mean_cosine=float(cosine.mean()),
        largest_error=float(error.max()),
        batch_error=float(among_batches.max()),
    )
