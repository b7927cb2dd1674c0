"""The finished bundle of the pocket encoder, which needs nothing but an engine."""

from __future__ import annotations

import shutil
from pathlib import Path

from mvrec_edge.runtime.bundle import Bundle, write_bundle
from mvrec_edge.runtime.files import writing

__all__ = ["POCKET", "POCKET_BUNDLE", "POCKET_PRECISIONS", "POCKET_WEIGHTS", "copy_pocket"]

_HERE = Path(__file__).parent

#: What `mvrec-edge export` calls it.
POCKET = "pocket"
#: Its weights, float16 under the official tensor names, read like any other checkpoint, for the graphs not finished.
POCKET_WEIGHTS = _HERE / "pocket.safetensors"
#: What the export makes of them; `training/finish.py` writes it.
POCKET_BUNDLE = _HERE / "pocket.bundle"
#: The precisions of the finished graphs.
POCKET_PRECISIONS = ("fp32",)


def copy_pocket(out: str | Path, *, overwrite: bool = False) -> Bundle:
    """Copies the finished bundle.

    Args:
        out: Folder to write.
        overwrite: Whether to replace a bundle that is there.

    Returns:
        The copy, verified.

    Raises:
        IntegrityError: The package's own bundle was changed.
        OutputError: `out` exists already or cannot be written.
    """
    shipped = Bundle.load(POCKET_BUNDLE)
    manifest = shipped.manifest
    with write_bundle(out, overwrite=overwrite) as draft:
        with writing(draft.folder):
            for record in manifest.files:
                shutil.copyfile(shipped.path / record.name, draft.folder / record.name)
        draft.finish(
            created_by=manifest.created_by,
            architecture=manifest.architecture,
            weights=manifest.weights,
            graphs=manifest.graphs,
        )
    return Bundle.load(out)
