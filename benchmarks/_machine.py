"""What a benchmark ran on, what it reads, and where its result goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mvrec_edge.doctor import describe_machine

__all__ = ["SHARED_DATA", "TRANSISTOR_FEATURES", "describe", "write_result"]

#: Data sets and features that are not in the repository, beside it.
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TRANSISTOR_FEATURES = SHARED_DATA / "alphaclip_features_transistor" / "features.safetensors"


def describe() -> dict[str, Any]:
    """The machine and the versions that a figure depends on, in plain JSON types."""
    return describe_machine()


def write_result(path: Path, question: str, figures: dict[str, Any]) -> None:
    """Writes one result file: the question, the machine, the figures."""
    payload = {"question": question, "machine": describe(), "figures": figures}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(payload, indent=2, ensure_ascii=False) + "\n")
    print(f"written: {path}")
