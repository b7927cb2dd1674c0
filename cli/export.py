"""`mvrec-edge export`: a checkpoint becomes a checked bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mvrec_edge.cli.options import Overwrite

__all__ = ["export"]


def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="Bundle to write: a folder.")],
    checkpoint: Annotated[
        Path | None,
        typer.Argument(
            metavar="CHECKPOINT",
            help="AlphaCLIP visual checkpoint (.pth) or a safetensors file of the same tensors.",
            show_default=False,
        ),
    ] = None,
    random_weights: Annotated[
        str | None,
        typer.Option(
            "--random-weights",
            help="Instead of a checkpoint: draw weights for this architecture (ViT-L/14, ViT-L/14@336, ViT-B/16, "
            "ViT-Ti/16). For measuring time; such a bundle can classify nothing.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of drawn weights.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Turn an AlphaCLIP checkpoint into a checked ONNX bundle (needs the extra 'export').

    Example: mvrec-edge export clip_l14_grit20m_fultune_2xe.pth --out encoder.bundle
    """
    from mvrec_edge.cli.console import say, view_bar
    from mvrec_edge.export import drawn_weights, export_bundle, read_checkpoint
    from mvrec_edge.runtime.bundle import check_free
    from mvrec_edge.runtime.errors import UsageError

    if (checkpoint is None) == (random_weights is None):
        raise UsageError(
            "give either a CHECKPOINT or --random-weights, and not both",
            fix="example: mvrec-edge export checkpoint.pth --out encoder.bundle",
        )
    check_free(out, overwrite=overwrite)
    if checkpoint is not None:
        say(f"reading {checkpoint}")
        weights = read_checkpoint(checkpoint)
    else:
        say(f"drawing weights for {random_weights}, seed {seed}")
        weights = drawn_weights(str(random_weights), seed)
    bundle = export_bundle(weights, out, overwrite=overwrite, say=say, views_bar=view_bar)
    checks = [check for graph in bundle.manifest.graphs for check in graph.checks]
    say(
        f"{out}: {bundle.architecture.name}, {bundle.weights}; worst cosine to PyTorch "
        f"{min(check.worst_cosine for check in checks):.8f}, largest error "
        f"{max(check.largest_error for check in checks):.1e} of the norm"
    )
    if bundle.weights.is_random:
        say("warning: these weights are random: the bundle serves to measure time, it classifies nothing")
