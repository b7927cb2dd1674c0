"""Files written whole or not at all, locked, and read back with checks."""

from __future__ import annotations

from mvrec_edge.runtime.files.json_documents import canonical_json
from mvrec_edge.runtime.files.writing import atomic_write, sha256_bytes, sha256_file, sync_folder, writing

__all__ = ["atomic_write", "canonical_json", "sha256_bytes", "sha256_file", "sync_folder", "writing"]
