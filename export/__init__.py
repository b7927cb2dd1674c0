"""From a checkpoint to a checked bundle. This part needs PyTorch, onnx and ONNX Runtime (extra `export`)."""

from __future__ import annotations

from mvrec_edge.export.dependencies import require_export_libraries

require_export_libraries()

from mvrec_edge.export.checkpoint import EncoderWeights, read_checkpoint  # noqa: E402 (after the check above)
from mvrec_edge.export.pipeline import export_bundle  # noqa: E402
from mvrec_edge.export.random_weights import NAMED_ARCHITECTURES, drawn_weights, random_weights  # noqa: E402

__all__ = [
    "NAMED_ARCHITECTURES",
    "EncoderWeights",
    "drawn_weights",
    "export_bundle",
    "random_weights",
    "read_checkpoint",
]
