"""ONNX Runtime, on the CPU or through one of its GPU providers."""

from mvrec_edge.runtime.engines.onnxruntime.onnxruntime_engine import (
    OnnxRuntimeEngine,
    open_cutting_session,
    open_session,
)

__all__ = ["OnnxRuntimeEngine", "open_cutting_session", "open_session"]
