"""The pocket encoder, for benchmarks that need an encoder with trained weights and no download."""

from __future__ import annotations

from pathlib import Path

from mvrec_edge.runtime import Bundle

__all__ = ["pocket_bundle"]


def pocket_bundle(given: Path | None, folder: Path) -> Bundle:
    """The given bundle, or the shipped weights in the precisions whose times are measured."""
    from mvrec_edge.export import export_bundle, read_checkpoint
    from mvrec_edge.pocket import POCKET_WEIGHTS

    if given is not None:
        return Bundle.load(given)
    return export_bundle(read_checkpoint(POCKET_WEIGHTS), folder / "pocket.bundle", precisions=("fp32", "bf16"))
