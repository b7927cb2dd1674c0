"""The pocket encoder: a small trained AlphaCLIP-style encoder that comes with the package, finished for every machine.

`MODEL_CARD.md` beside this file says what it was trained on and what it can do; the repository's `training/` made it.
"""

from __future__ import annotations

from mvrec_edge.pocket.finished import POCKET, POCKET_BUNDLE, POCKET_PRECISIONS, POCKET_WEIGHTS, copy_pocket

__all__ = ["POCKET", "POCKET_BUNDLE", "POCKET_PRECISIONS", "POCKET_WEIGHTS", "copy_pocket"]
