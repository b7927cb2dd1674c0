"""Certificates of graphs that cut views: their views against `crop_views`, their embeddings against PyTorch."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped,unused-ignore]

from mvrec_edge.export.check import GraphCheck, Views, compare_embeddings, open_runner
from mvrec_edge.export.graph import OPSET
from mvrec_edge.export.graph_file import weights_of
from mvrec_edge.export.joined_graphs import cutting_model
from mvrec_edge.export.rendered_views import RENDERED_PLAN, rendered_regions
from mvrec_edge.runtime.bundle import CutRecord, VariantRecord, limits_of
from mvrec_edge.runtime.bundle.screen import screen_onnx, variant_domains
from mvrec_edge.runtime.engines.onnxruntime import open_cutting_session
from mvrec_edge.runtime.errors import EnvironmentUnfitError
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.views import ViewPlan, crop_views
from mvrec_edge.runtime.views.patches import PatchViews, cut_patch, join_patches

__all__ = ["CuttingCertifier"]

# Views of rendered defects that a whole graph cuts and encodes: the first of those that every graph is checked on.
_ENCODED = 6
# Views of a plan of 27 that are cut across and beyond the border: of every size, shifted and not.
_CHOSEN = (0, 4, 8, 9, 13, 17, 18, 22, 26)
_SUMMARY = "views cut from a patch"


@dataclass(frozen=True)
class _Cut:
    """Patches of some views, and the same views as `crop_views` cuts them."""

    patches: list[PatchViews]
    views: Views


class CuttingCertifier:
    """Compares graphs that cut views of one size.

    The nodes that cut are the same in all of them. Their views are compared by themselves on windows within, across and
    beyond the border, once; and those of each graph, with the embeddings, on a few.

    Args:
        rendered: Views of rendered defects, see `rendered_views`, uint8 `[N, S, S, 4]`, N at least 6.
        wanted: The module's embeddings of them, `[N, C]`.
        kind: What they are called in certificates.

    Raises:
        EnvironmentUnfitError: Views so small cannot be cut in a graph, or come out otherwise.
    """

    def __init__(self, rendered: Views, wanted: npt.NDArray[np.float64], kind: str) -> None:
        self.size = rendered.shape[1]
        self._kind, self._wanted = kind, wanted[:_ENCODED]
        samples = [
            (image, region, ViewPlan.by_name(RENDERED_PLAN, size=self.size))
            for image, region in rendered_regions(_ENCODED // 3)
        ]
        self._few = _Cut(_patches(samples), rendered[:_ENCODED])
        plans = [ViewPlan.by_name(name, size=self.size) for name in ("mso", "mso_bbox")]
        ((image, region),) = rendered_regions(1, size=(192, 256))
        many = _Cut(
            _patches([(image, region, plan) for plan in plans], _CHOSEN),
            np.concatenate([crop_views(image, region, plan, views=_CHOSEN) for plan in plans]),
        )
        session = onnxruntime.InferenceSession(
            cutting_model(self.size, OPSET).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        self._cut = _differences(many, session.run(None, join_patches(many.patches).feeds())[0])

    def certify(self, path: Path, target: str, graph: Path, plain: Path, precision: str) -> VariantRecord:
        """Runs a graph that cuts views, on this machine's CPU.

        Args:
            path: The graph.
            target: Of `VIEWS_TARGETS`.
            graph: The one of standard operators, beside which the weights lie.
            plain: The one that it was made from, which takes views; the variant for CUDA, or `graph`.
            precision: Their precision.

        Raises:
            EnvironmentUnfitError: It cuts other views than `crop_views`, answers otherwise than the one it was made
                from, or is of standard operators and cannot be run.
        """
        record = VariantRecord(file=path.name, target=target, summary=_SUMMARY, engine="", cut=self._cut)
        weights, domains = weights_of(graph), variant_domains(target)
        screen_onnx(path, weights, domains)
        views = np.empty_like(self._few.views)
        try:
            with open_runner(plain, precision, weights=weights, domains=domains) as run:
                expected = run(self._few.views).astype(np.float64)
            with contextlib.closing(open_cutting_session(path, precision)) as session:
                answers = session.run_patches(join_patches(self._few.patches), views)
        except EnvironmentUnfitError:
            if target == "views":
                raise
            # Made for CUDA: this machine's CPU may not have its operators.
            return record
        cut = _together(self._cut, _differences(self._few, views))
        same = compare_embeddings(self._kind, answers, expected)
        if cut.differing or not GraphCheck((same,)).passed(limits_of("fp32")):
            raise EnvironmentUnfitError(
                f"the {precision} graph that cuts views does not compute what the graph of views computes: "
                f"{cut.differing} values of views differ, worst cosine {same.worst_cosine:.7f}",
                fix="leave out --views-in-graph, and report this",
            )
        row = compare_embeddings(self._kind, answers, self._wanted)
        return dataclasses.replace(record, checks=(row,), engine="onnxruntime on the CPU", cut=cut)


def _patches(
    samples: Sequence[tuple[npt.NDArray[np.uint8], Region, ViewPlan]], views: Sequence[int] | None = None
) -> list[PatchViews]:
    found = [cut_patch(image, region, plan, views=views) for image, region, plan in samples]
    return [patch for patch in found if patch is not None]


def _differences(wanted: _Cut, got: Views) -> CutRecord:
    apart = np.abs(got.astype(np.int16) - wanted.views)
    return CutRecord(len(got), int(np.count_nonzero(apart)), int(apart.max()))


def _together(one: CutRecord, other: CutRecord) -> CutRecord:
    return CutRecord(
        one.views + other.views,
        one.differing + other.differing,
        max(one.largest_difference, other.largest_difference),
    )
