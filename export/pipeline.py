"""The export as one run: weights, module, graphs, certificates, bundle."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvrec_edge import __version__
from mvrec_edge.export.check import seeded_views
from mvrec_edge.export.checkpoint import EncoderWeights
from mvrec_edge.export.dependencies import require_export_libraries
from mvrec_edge.export.encoder import load_encoder
from mvrec_edge.export.fusion import FUSED_PRECISIONS, write_fused
from mvrec_edge.export.graph import trace_graph
from mvrec_edge.export.graph_file import weights_of
from mvrec_edge.export.joined_graphs import joined_targets, write_joined
from mvrec_edge.export.lite_encoder import LiteViewsEncoder
from mvrec_edge.export.precision import Calibration, Certifier, CuttingCertifier, write_variant
from mvrec_edge.export.precision.calibration import CALIBRATION_VIEWS
from mvrec_edge.export.rendered_views import rendered_views
from mvrec_edge.export.views_encoder import ViewsEncoder, ViewsModule
from mvrec_edge.runtime.bundle import (
    Bundle,
    GraphRecord,
    LiteArchitecture,
    WeightsSource,
    parse_precisions,
    write_bundle,
)
from mvrec_edge.runtime.bundle.golden import GOLDEN_NAME
from mvrec_edge.runtime.errors import EnvironmentUnfitError, MissingDependencyError

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
    views_in_graph: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
    views_bar: Bar | None = None,
    left_out: Callable[[EnvironmentUnfitError], None] | None = None,
) -> Bundle:
    """Exports an encoder into a bundle whose graphs are checked against the PyTorch module.

    Every graph is loaded back in the library that runs it and compared on seeded noise and on rendered defects, at
    batch 1, 3 and 27, and on the calibration views. A graph below its limits is not written; the others are, unless it
    is the float32 graph, from which they are made.

    Args:
        weights: What `read_checkpoint`, `read_lite` or `drawn_weights` returned; its tensors are given away.
        out: Folder to write.
        precisions: Which graphs: any of `"fp32"`, `"fp16"`, `"bf16"`, `"int8"`.
        calibration: The user's own labelled views: int8 ranges are measured on them, and all limits but those of
            fp32 are held against them. Without, rendered defects take their place.
        accept: Whether a graph below its limits is written all the same, with a note of it.
        views_in_graph: Whether a further graph over the same weights is written for each precision but bf16, which cuts
            the views as well, for engines on a GPU.
        overwrite: Whether to replace a bundle that is there.
        say: Takes a line for each step.
        views_bar: Opens a progress bar over views.
        left_out: Takes what is wrong with each graph that is not written. Without, the first of these errors is raised
            when the bundle with the others has been written.

    Returns:
        The bundle, verified.

    Raises:
        OutputError: `out` exists already or cannot be written.
        EnvironmentUnfitError: A graph does not compute what the module computes, or is below its limits; no bundle is
            written where that is so of the float32 graph, or of all that were asked for.
        MissingDependencyError: What writes or checks a graph is not installed; this is said before the first step.
        UsageError: There is no such precision.
    """
    wanted = parse_precisions(",".join(precisions))
    require_export_libraries(wanted)
    source, architecture = _source_of(weights), weights.architecture
    open_bar = views_bar or (lambda _title, _total: contextlib.nullcontext(lambda _count: None))
    with write_bundle(out, overwrite=overwrite) as draft:
        say(f"building {architecture.name}: {architecture.parts}")
        module = _module_of(weights)
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
        others = [precision for precision in wanted if precision != "fp32"]
        graphs = 1 + len(others) + len(FUSED_PRECISIONS.intersection(others))
        with open_bar("comparing", Certifier.work(len(kinds), calibration, graphs)) as advance:
            certifier = Certifier(module, kinds, calibration, advance)
            # Its embeddings are known now, and its weights take as much memory as the graph.
            del module
            # The float32 graph is what the others are made from, so it is checked even where it is not kept.
            records = [certifier.certify(exact, "fp32")]
            made_on = (kinds[_RENDERED_VIEWS], _RENDERED_VIEWS)
            if calibration is not None:
                made_on = (calibration.flat, CALIBRATION_VIEWS)
            further, failures = _further_graphs(exact, others, certifier, made_on, accept=accept, say=say)
        records = [record for record in records + further if record.precision in wanted]
        if not records:
            raise failures[0]
        if views_in_graph:
            say("writing and comparing the graphs that cut views")
            rendered = (kinds[_RENDERED_VIEWS], certifier.wanted[_RENDERED_VIEWS])
            records = _with_cutting(draft.folder, records, rendered, failures)
        if "fp32" not in wanted:
            _remove(exact, weights_of(exact))
        say("writing the bundle")
        certifier.golden([record.precision for record in records]).save(draft.folder / GOLDEN_NAME)
        created_by = f"mvrec-edge {__version__}"
        draft.finish(created_by=created_by, architecture=architecture, weights=source, graphs=tuple(records))
    for failure in failures:
        if left_out is None:
            raise failure
        left_out(failure)
    return Bundle.load(out)


def _module_of(weights: EncoderWeights) -> ViewsModule:
    if isinstance(weights.architecture, LiteArchitecture):
        return LiteViewsEncoder(weights)
    return ViewsEncoder(load_encoder(weights))


def _source_of(weights: EncoderWeights) -> WeightsSource:
    kind = "checkpoint" if weights.seed is None else "random"
    return WeightsSource(kind=kind, name=weights.source_name, sha256=weights.sha256, seed=weights.seed)


def _further_graphs(
    exact: Path,
    precisions: Sequence[str],
    certifier: Certifier,
    made_on: tuple[npt.NDArray[np.uint8], str],
    *,
    accept: bool,
    say: Callable[[str], None],
) -> tuple[list[GraphRecord], list[EnvironmentUnfitError]]:
    """Writes and certifies the graphs of other precisions beside the float32 graph.

    Args:
        exact: The float32 graph.
        precisions: Which.
        certifier: Compares them.
        made_on: The views that the ranges of int8 are measured on, uint8 `[N, S, S, 4]`, and what they are.
        accept: Whether a graph below its limits is kept.
        say: Takes a line for each.

    Returns:
        The records of the graphs that were kept, and what is wrong with the others, whose files are gone.
    """
    views, kind = made_on
    records: list[GraphRecord] = []
    failures: list[EnvironmentUnfitError] = []
    for precision in precisions:
        say(f"writing and comparing the {precision} graph")
        graph = exact.with_name(_file_name(precision))
        try:
            write_variant(precision, exact, graph, views)
            calibrated_on = kind if precision == "int8" else ""
            record = certifier.certify(graph, precision, calibrated_on=calibrated_on, accept=accept)
        except MissingDependencyError:
            raise
        except EnvironmentUnfitError as error:
            _remove(graph, weights_of(graph))
            failures.append(error)
            continue
        records.append(_with_fused(record, graph, certifier, accept, failures))
    return records, failures


def _with_fused(
    record: GraphRecord, graph: Path, certifier: Certifier, accept: bool, failures: list[EnvironmentUnfitError]
) -> GraphRecord:
    """The record of a graph with that of the graph with fused operators, where there is one and it keeps its limits."""
    fused = write_fused(graph, record.precision)
    if fused is None:
        return record
    try:
        variant = certifier.certify_fused(fused, graph, record.precision, accept=accept)
    except EnvironmentUnfitError as error:
        _remove(fused.path)
        failures.append(error)
        return record
    return dataclasses.replace(record, variants=(variant,))


def _with_cutting(
    folder: Path,
    records: Sequence[GraphRecord],
    rendered: tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]],
    failures: list[EnvironmentUnfitError],
) -> list[GraphRecord]:
    """The records of graphs with those of the graphs that cut views as well, as far as these are right."""
    try:
        certifier = CuttingCertifier(*rendered, _RENDERED_VIEWS)
    except EnvironmentUnfitError as error:
        failures.append(error)
        return list(records)
    kept = []
    for record in records:
        variants = list(record.variants)
        for target, name in joined_targets(record):
            graph, plain = folder / record.file, folder / name
            path = graph.with_suffix(f".{target}.onnx")
            write_joined(plain, path, certifier.size)
            try:
                variants.append(certifier.certify(path, target, graph, plain, record.precision))
            except EnvironmentUnfitError as error:
                _remove(path)
                failures.append(error)
        kept.append(dataclasses.replace(record, variants=tuple(variants)))
    return kept


def _remove(*files: Path) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _file_name(precision: str) -> str:
    return f"encoder.{precision}.onnx"
