"""From a checkpoint to a checked bundle. This part needs PyTorch, onnx and ONNX Runtime (extra `export`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mvrec_edge.export.dependencies import require_export_libraries

require_export_libraries()

from mvrec_edge.export.checkpoint import EncoderWeights, read_checkpoint  # noqa: E402 (after the check above)
from mvrec_edge.export.lite_weights import read_lite  # noqa: E402
from mvrec_edge.export.random_weights import NAMED_ARCHITECTURES, drawn_weights, random_weights  # noqa: E402

if TYPE_CHECKING:
    from mvrec_edge.export.pipeline import export_bundle

__all__ = [
    "NAMED_ARCHITECTURES",
    "EncoderWeights",
    "drawn_weights",
    "export_bundle",
    "random_weights",
    "read_checkpoint",
    "read_lite",
]


def __getattr__(name: str) -> Any:
    # Imported when asked for: it brings the onnx libraries along, and a process that only runs the encoder in PyTorch
    # would be charged for their time and memory.
    if name == "export_bundle":
        require_export_libraries(())
        from mvrec_edge.export.pipeline import export_bundle

        return export_bundle
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
