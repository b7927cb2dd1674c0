"""Certificates: what each graph of a bundle answers, against the PyTorch module in float32."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvrec_edge.export.check import (
    GraphCheck,
    certifying_engine,
    compare_all,
    compare_runner,
    open_runner,
    reference_embeddings,
)
from mvrec_edge.export.fusion import FusedGraph
from mvrec_edge.export.graph_file import weights_of
from mvrec_edge.export.precision.calibration import CALIBRATION_VIEWS, Calibration
from mvrec_edge.export.views_encoder import ViewsModule
from mvrec_edge.runtime.bundle import CheckRecord, Golden, GraphRecord, LabelRecord, VariantRecord, limits_of
from mvrec_edge.runtime.bundle.screen import variant_domains
from mvrec_edge.runtime.errors import EnvironmentUnfitError

__all__ = ["Certifier"]

_BATCHES = (1, 3, 27)
# Of each kind; together about 2 MB at 224 pixels.
_GOLDEN = 5

Views = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Outcome:
    """What came of running a graph: the comparison, its answers to the golden views, the decisions that differ."""

    check: GraphCheck
    golden: npt.NDArray[np.float32]
    labels: LabelRecord | None


class Certifier:
    """Compares graphs with one module, whose embeddings are computed once.

    Args:
        module: The module in float32.
        kinds: Views by kind, uint8 `[N, S, S, 4]`, N at least 27.
        calibration: The user's own views; the limits are held against these where they are given.
        progress: Called with a number of views as they are done.
    """

    def __init__(
        self,
        module: ViewsModule,
        kinds: Mapping[str, Views],
        calibration: Calibration | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.kinds = {kind: views[: max(_BATCHES)] for kind, views in kinds.items()}
        self.calibration = calibration
        self.progress = progress
        self.wanted = {kind: reference_embeddings(module, views, progress) for kind, views in self.kinds.items()}
        if calibration is not None:
            self.wanted[CALIBRATION_VIEWS] = reference_embeddings(module, calibration.flat, progress)
        self._golden: dict[str, npt.NDArray[np.float32]] = {}

    @staticmethod
    def work(kinds: int, calibration: Calibration | None, graphs: int) -> int:
        """The number of views that a certificate of so many graphs encodes, for a progress bar."""
        own = 0 if calibration is None else len(calibration.flat)
        return kinds * max(_BATCHES) + own + graphs * (kinds * sum(_BATCHES) + own)

    def certify(self, graph: Path, precision: str, *, calibrated_on: str = "", accept: bool = False) -> GraphRecord:
        """Runs a graph over every kind of views.

        Args:
            graph: The ONNX file; its weights lie beside it.
            precision: Its precision.
            calibrated_on: The kind of views that int8 ranges were measured on.
            accept: Whether a graph below its limits is let through, with a note of it; never so for fp32, where it
                would mean that the graph is wrong.

        Returns:
            The record for the manifest.

        Raises:
            EnvironmentUnfitError: The graph is below its limits, or cannot be run.
        """
        outcome = self._outcome(graph, weights_of(graph), precision)
        self._golden[precision] = outcome.golden
        within = self._within_limits(outcome, precision, f"the {precision} graph", accept)
        return GraphRecord(
            file=graph.name,
            weights=weights_of(graph).name,
            precision=precision,
            checks=outcome.check.rows,
            engine=certifying_engine(precision),
            judged=self._judged,
            labels=outcome.labels,
            calibrated_on=calibrated_on,
            within_limits=within,
        )

    def certify_fused(self, fused: FusedGraph, graph: Path, precision: str, *, accept: bool = False) -> VariantRecord:
        """Runs a graph with fused operators over every kind of views, on this machine's CPU.

        What is made for a GPU is run on the CPU as well, which shows that it computes the right thing and not that the
        GPU does. Where ONNX Runtime has no such operator for the CPU, the record says that it was not run.

        Args:
            fused: The graph.
            graph: The one that it was made from, whose weights it uses.
            precision: Its precision.
            accept: Whether it is let through below its limits, with a note of it.

        Raises:
            EnvironmentUnfitError: It is below its limits, or it is made for this machine's CPU and cannot be run.
        """
        record = VariantRecord(file=fused.path.name, target=fused.target, summary=fused.summary, engine="")
        try:
            outcome = self._outcome(fused.path, weights_of(graph), precision, variant_domains(fused.target))
        except EnvironmentUnfitError:
            if fused.target == "onnxruntime-x86":
                raise
            return record
        within = self._within_limits(outcome, precision, f"the {precision} graph for {fused.target}", accept)
        return dataclasses.replace(
            record,
            checks=outcome.check.rows,
            engine="onnxruntime on the CPU",
            judged=self._judged,
            labels=outcome.labels,
            within_limits=within,
        )

    @property
    def _judged(self) -> str:
        return "" if self.calibration is None else CALIBRATION_VIEWS

    def _outcome(self, graph: Path, weights: Path, precision: str, domains: Sequence[str] = ()) -> _Outcome:
        labels: LabelRecord | None = None
        with open_runner(graph, precision, weights=weights, domains=domains) as run:
            check = compare_runner(run, self.kinds, self.wanted, _BATCHES, self.progress)
            golden = run(self._golden_views()).astype(np.float32)
            if self.calibration is not None:
                own, answers = compare_all(
                    run, CALIBRATION_VIEWS, self.calibration.flat, self.wanted[CALIBRATION_VIEWS], self.progress
                )
                check = GraphCheck((*check.rows, own))
                labels = self._decisions(answers, own)
        return _Outcome(check, golden, labels)

    def _within_limits(self, outcome: _Outcome, precision: str, name: str, accept: bool) -> bool:
        judged = "" if precision == "fp32" else self._judged
        complaint = _complaint(precision, name, outcome.check, judged, outcome.labels)
        if complaint and (precision == "fp32" or not accept):
            raise complaint
        return complaint is None

    def golden(self, precisions: Sequence[str]) -> Golden:
        """The golden views with the answers of these graphs, each certified before."""
        reference = np.concatenate([self.wanted[kind][:_GOLDEN] for kind in self.kinds]).astype(np.float32)
        return Golden(self._golden_views(), reference, {name: self._golden[name] for name in precisions})

    def _golden_views(self) -> Views:
        # Never the user's own: a bundle is copied around, and their images are not.
        return np.concatenate([views[:_GOLDEN] for views in self.kinds.values()])

    def _decisions(self, answers: npt.NDArray[np.float32], own: CheckRecord) -> LabelRecord | None:
        # A graph that answers nonsense has no decisions to compare; its cosine fails it already.
        if self.calibration is None or self.calibration.compare is None or own.worst_cosine == -1.0:
            return None
        shape = (*self.calibration.views.shape[:2], -1)
        return self.calibration.compare(self.wanted[CALIBRATION_VIEWS].reshape(shape), answers.reshape(shape))


def _complaint(
    precision: str, name: str, check: GraphCheck, judged: str, labels: LabelRecord | None
) -> EnvironmentUnfitError | None:
    """What is wrong with a graph, as the error that says so; None where it keeps its limits."""
    limits = limits_of(precision)
    flips = 0 if labels is None else labels.flips
    if check.passed(limits, judged) and flips <= limits.flips:
        return None
    judged_rows = GraphCheck(tuple(row for row in check.rows if judged in ("", row.kind)))
    figures = (
        f"worst cosine {judged_rows.worst_cosine:.7f} (limit {limits.cosine}), largest error "
        f"{judged_rows.largest_error:.1e} of the norm (limit {limits.error:g})"
    )
    if precision == "fp32":
        return EnvironmentUnfitError(
            f"the exported graph does not compute what the PyTorch module computes: {figures}",
            fix="no bundle was written; try other versions of torch and onnxruntime, and report this",
        )
    if labels is not None:
        figures += f", {flips} of {labels.instances} decisions differ (limit {limits.flips})"
    better = "more and other defects" if judged else "your own labelled defects"
    return EnvironmentUnfitError(
        f"{name} is below its limits on {judged or 'seeded views'}: {figures}",
        fix=f"give {better} with --calibration, leave {precision} out, or give --accept",
    )
