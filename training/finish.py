"""Makes the finished bundle of the pocket encoder anew from its weights: `python -m training.finish`.

The bundle in `pocket/` is what the package's own export makes of `pocket/pocket.safetensors`. `make pocket`
runs this. It is needed when the weights or the export have changed; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path

from mvrec_edge.export import export_bundle, read_checkpoint
from mvrec_edge.pocket import POCKET_BUNDLE, POCKET_PRECISIONS, POCKET_WEIGHTS
from mvrec_edge.runtime import Bundle

__all__ = ["finish"]


def finish(weights: Path = POCKET_WEIGHTS, out: Path = POCKET_BUNDLE) -> Bundle:
    """Exports the weights into the bundle that is shipped, and replaces the one before.

    Args:
        weights: What `training.publish` wrote.
        out: Folder to write.
    """
    return export_bundle(read_checkpoint(weights), out, precisions=POCKET_PRECISIONS, overwrite=True)


if __name__ == "__main__":
    print(f"{POCKET_BUNDLE}: {finish().fingerprint()}")  # noqa: T201
