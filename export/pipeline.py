"""The export as one run: weights, module, graphs, certificates, bundle."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from mvrec_edge import __version__
from mvrec_edge.export.check import seeded_views
from mvrec_edge.export.checkpoint import EncoderWeights
from mvrec_edge.export.encoder import load_encoder
from mvrec_edge.export.graph import trace_graph
from mvrec_edge.export.precision import Calibration, Certifier, write_variant
from mvrec_edge.export.precision.calibration import CALIBRATION_VIEWS
from mvrec_edge.export.rendered_views import rendered_views
from mvrec_edge.export.views_encoder import ViewsEncoder
from mvrec_edge.runtime.bundle import Bundle, GraphRecord, WeightsSource, parse_precisions, write_bundle
from mvrec_edge.runtime.bundle.golden import GOLDEN_NAME

__all__ = ["export_bundle"]

# As many as the largest batch that a certificate runs.
_SEEDED = 27
_RENDERED_VIEWS = "rendered defects"

Bar = Callable[[str, int | None], contextlib.AbstractContextManager[Callable[[int], None]]]


def export_bundle(
    weights: EncoderWeights,
    out: str | Path,
    *,
    precisions: Sequence[str] = ("fp32",),
    calibration: Calibration | None = None,
    accept: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
    views_bar: Bar | None = None,
) -> Bundle:
    """Exports an encoder into a bundle whose graphs are checked against the PyTorch module.

    Every graph is loaded back in the library that runs it and compared on seeded noise and on rendered defects, at
    batch 1, 3 and 27, and on the calibration views; a graph below its limits is not written.

    Args:
        weights: What `read_checkpoint` or `drawn_weights` returned; its tensors are given away.
        out: Folder to write.
        precisions: Which graphs: any of `"fp32"`, `"fp16"`, `"bf16"`, `"int8"`.
        calibration: The user's own labelled views: int8 ranges are measured on them, and all limits but those of
            fp32 are held against them. Without, rendered defects take their place.
        accept: Whether a graph below its limits is written all the same, with a note of it.
        overwrite: Whether to replace a bundle that is there.
        say: Takes a line for each step.
        views_bar: Opens a progress bar over views.

    Returns:
        The bundle, verified.

    Raises:
        OutputError: `out` exists already or cannot be written.
        EnvironmentUnfitError: A graph does not compute what the module computes, or is below its limits.
        MissingDependencyError: What writes or checks a graph is not installed.
        UsageError: There is no such precision.
    """
    wanted = parse_precisions(",".join(precisions))
    source = WeightsSource(
        kind="checkpoint" if weights.seed is None else "random",
        name=weights.source_name,
        sha256=weights.sha256,
        seed=weights.seed,
    )
    architecture = weights.architecture
    open_bar = views_bar or (lambda _title, _total: contextlib.nullcontext(lambda _count: None))
    with write_bundle(out, overwrite=overwrite) as draft:
        say(f"building {architecture.name}: {architecture.layers} layers of width {architecture.width}")
        module = ViewsEncoder(load_encoder(weights))
        # The module holds the tensors now; a second reference would keep a copy of 1.2 GB alive.
        weights.tensors.clear()
        say("tracing the ONNX graph")
        exact = draft.folder / _file_name("fp32")
        trace_graph(module, exact)
        kinds = {
            "seeded noise": seeded_views(_SEEDED, architecture.image_size, seed=0),
            _RENDERED_VIEWS: rendered_views(_SEEDED, architecture.image_size, seed=0),
        }
        say("comparing the graph in ONNX Runtime with the PyTorch module")
        # The float32 graph is what the others are made from, so it is checked even where it is not kept.
        others = [precision for precision in wanted if precision != "fp32"]
        records: list[GraphRecord] = []
        with open_bar("comparing", Certifier.work(len(kinds), calibration, 1 + len(others))) as advance:
            certifier = Certifier(module, kinds, calibration, advance)
            # Its embeddings are known now, and its weights take as much memory as the graph.
            del module
            record = certifier.certify(exact, "fp32")
            if "fp32" in wanted:
                records.append(record)
            for precision in others:
                say(f"writing and comparing the {precision} graph")
                views, kind = kinds[_RENDERED_VIEWS], _RENDERED_VIEWS
                if calibration is not None:
                    views, kind = calibration.flat, CALIBRATION_VIEWS
                graph = draft.folder / _file_name(precision)
                write_variant(precision, exact, graph, views)
                calibrated_on = kind if precision == "int8" else ""
                records.append(certifier.certify(graph, precision, calibrated_on=calibrated_on, accept=accept))
        if "fp32" not in wanted:
            exact.unlink()
        say("writing the bundle")
        certifier.golden(wanted).save(draft.folder / GOLDEN_NAME)
        draft.finish(
            created_by=f"mvrec-edge {__version__}",
            architecture=architecture,
            weights=source,
            graphs=tuple(records),
        )
    return Bundle.load(out)


def _file_name(precision: str) -> str:
    return f"encoder.{precision}.onnx"
