"""TensorRT: plans that are built on the machine they run on, and the engine that runs them."""

from __future__ import annotations

from mvrec_edge.runtime.engines.tensorrt.profile import BatchProfile

__all__ = ["BatchProfile"]
