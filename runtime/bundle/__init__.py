"""Bundles: what `export` writes and the engines read."""

from __future__ import annotations

from mvrec_edge.runtime.bundle.architecture import EncoderArchitecture
from mvrec_edge.runtime.bundle.bundle import Bundle, check_free, write_bundle
from mvrec_edge.runtime.bundle.manifest import CheckRecord, FileRecord, GraphRecord, Manifest, WeightsSource

__all__ = [
    "Bundle",
    "CheckRecord",
    "EncoderArchitecture",
    "FileRecord",
    "GraphRecord",
    "Manifest",
    "WeightsSource",
    "check_free",
    "write_bundle",
]
