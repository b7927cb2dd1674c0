"""Heads: what turns embeddings into classes."""

from __future__ import annotations

from mvrec_edge.runtime.heads.zip_adapter import HeadPrediction, Neighbour, ZipAdapter

__all__ = ["HeadPrediction", "Neighbour", "ZipAdapter"]
