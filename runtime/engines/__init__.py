"""Engines: what turns views into embeddings."""

from __future__ import annotations

from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.engines.engine_registry import engine_names, open_engine

__all__ = ["Engine", "engine_names", "open_engine"]
