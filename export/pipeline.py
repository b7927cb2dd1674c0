"""The export as one run: weights, module, graph, check, bundle."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from mvrec_edge import __version__
from mvrec_edge.export.check import FLOAT32_LIMITS, GraphCheck, check_graph, seeded_views
from mvrec_edge.export.checkpoint import EncoderWeights
from mvrec_edge.export.encoder import load_encoder
from mvrec_edge.export.graph import trace_graph
from mvrec_edge.export.rendered_views import rendered_views
from mvrec_edge.export.views_encoder import ViewsEncoder
from mvrec_edge.runtime.bundle import Bundle, CheckRecord, GraphRecord, WeightsSource, write_bundle
from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["export_bundle"]

_GRAPH = "encoder.fp32.onnx"
_BATCHES = (1, 3, 27)

Bar = Callable[[str, int | None], contextlib.AbstractContextManager[Callable[[int], None]]]


def export_bundle(
    weights: EncoderWeights,
    out: str | Path,
    *,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
    views_bar: Bar | None = None,
) -> Bundle:
    """Exports an encoder into a bundle, checked against the PyTorch module.

    The graph is loaded back in ONNX Runtime and compared on seeded noise and on rendered defects, at batch 1, 3
    and 27; a graph that differs is not written.

    Args:
        weights: What `read_checkpoint` or `drawn_weights` returned; its tensors are given away.
        out: Folder to write.
        overwrite: Whether to replace a bundle that is there.
        say: Takes a line for each step.
        views_bar: Opens a progress bar over views.

    Returns:
        The bundle, verified.

    Raises:
        OutputError: `out` exists already or cannot be written.
        EnvironmentUnfitError: The exported graph does not compute what the module computes.
    """
    source = WeightsSource(
        kind="checkpoint" if weights.seed is None else "random",
        name=weights.source_name,
        sha256=weights.sha256,
        seed=weights.seed,
    )
    architecture = weights.architecture
    with write_bundle(out, overwrite=overwrite) as draft:
        say(f"building {architecture.name}: {architecture.layers} layers of width {architecture.width}")
        module = ViewsEncoder(load_encoder(weights))
        # The module holds the tensors now; a second reference would keep a copy of 1.2 GB alive.
        weights.tensors.clear()
        say("tracing the ONNX graph")
        graph = draft.folder / _GRAPH
        trace_graph(module, graph)
        kinds = {
            "seeded noise": seeded_views(max(_BATCHES), architecture.image_size, seed=0),
            "rendered defects": rendered_views(max(_BATCHES), architecture.image_size, seed=0),
        }
        say("comparing the graph in ONNX Runtime with the PyTorch module")
        open_bar = views_bar or (lambda _title, _total: contextlib.nullcontext(lambda _count: None))
        total = len(kinds) * (max(_BATCHES) + sum(_BATCHES))
        with open_bar("comparing", total) as advance:
            check = check_graph(graph, module, kinds=kinds, batches=_BATCHES, progress=advance)
        _refuse_if_different(check)
        say("writing the bundle")
        draft.finish(
            created_by=f"mvrec-edge {__version__}",
            architecture=architecture,
            weights=source,
            graphs=(GraphRecord(file=_GRAPH, precision="fp32", checks=_records(check)),),
        )
    return Bundle.load(out)


def _records(check: GraphCheck) -> tuple[CheckRecord, ...]:
    return tuple(
        CheckRecord(kind=row.kind, batch=row.batch, worst_cosine=row.worst_cosine, largest_error=row.largest_error)
        for row in check.rows
    )


def _refuse_if_different(check: GraphCheck) -> None:
    if not check.passed():
        raise EnvironmentUnfitError(
            f"the exported graph does not compute what the PyTorch module computes: worst cosine "
            f"{check.worst_cosine:.7f} (limit {FLOAT32_LIMITS.cosine}), largest error {check.largest_error:.1e} of "
            f"the norm (limit {FLOAT32_LIMITS.error:.0e})",
            fix="no bundle was written; try other versions of torch and onnxruntime, and report this",
        )
