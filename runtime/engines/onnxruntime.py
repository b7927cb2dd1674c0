"""ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.bundle.onnx_screen import screen_onnx
from mvrec_edge.runtime.engines.base import DEFAULT_BATCH, Engine
from mvrec_edge.runtime.errors import EnvironmentUnfitError, MissingDependencyError

if TYPE_CHECKING:
    from mvrec_edge.runtime.bundle import Bundle

__all__ = ["OnnxRuntimeEngine"]

_PROVIDER = "CPUExecutionProvider"


class OnnxRuntimeEngine(Engine):
    """Runs a bundle's graph in ONNX Runtime on the CPU.

    Args:
        bundle: A verified bundle.
        batch: Most views that are computed at once.
        threads: CPU threads; by default one for each core.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
        EnvironmentUnfitError: The installed version cannot run the graph.
        IntegrityError: The graph holds something that must not be run.
    """

    name = "onnxruntime"

    def __init__(self, bundle: Bundle, *, batch: int = DEFAULT_BATCH, threads: int | None = None) -> None:
        try:
            import onnxruntime  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise MissingDependencyError("onnxruntime", extra="cpu", purpose="the engine 'onnxruntime'") from error
        graph = bundle.graph()
        screen_onnx(graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        # Errors only: its warnings concern the graph's author, and would break into a progress bar.
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(str(graph), options, providers=[_PROVIDER])
        except Exception as error:
            raise EnvironmentUnfitError(
                f"ONNX Runtime {onnxruntime.__version__} cannot load the graph: {str(error)[:300]}",
                where=graph,
                fix="pip install --upgrade onnxruntime",
            ) from error
        if session.get_providers() != [_PROVIDER]:
            raise EnvironmentUnfitError(
                f"ONNX Runtime would run on {session.get_providers()} instead of {_PROVIDER}",
                fix="reinstall onnxruntime in a fresh environment",
            )
        self._session: Any = session
        self.device = f"cpu, {threads or os.cpu_count()} threads"
        super().__init__(
            image_size=bundle.architecture.image_size,
            embedding_dim=bundle.architecture.embedding_dim,
            fingerprint=bundle.fingerprint(),
            batch=batch,
            random_weights=bundle.weights.is_random,
        )

    def _encode_batch(self, views: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        return np.asarray(self._session.run(["embedding"], {"views": views})[0])

    def close(self) -> None:
        """Frees the session."""
        self._session = None
