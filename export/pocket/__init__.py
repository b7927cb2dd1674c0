"""The pocket encoder: a small trained AlphaCLIP-style encoder that comes with the package.

`MODEL_CARD.md` beside this file says what it was trained on and what it can do; the repository's `training/` made it.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["POCKET", "POCKET_WEIGHTS"]

#: What `mvrec-edge export` calls it.
POCKET = "pocket"
#: Its weights, float16 under the official tensor names, read like any other checkpoint.
POCKET_WEIGHTS = Path(__file__).parent / "pocket.safetensors"
