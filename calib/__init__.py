"""Everything that is computed from a user's labelled samples; numpy alone, so it runs on the line."""

from __future__ import annotations

from mvrec_edge.calib.evaluation import EvaluationSet, HeadResult, Protocol, evaluate
from mvrec_edge.calib.features import read_features
from mvrec_edge.calib.heads import HEAD_CHOICES, HeadFit, fit_head
from mvrec_edge.calib.openset import fit_novelty
from mvrec_edge.calib.precision import compare_decisions
from mvrec_edge.calib.sampling import sample_shots
from mvrec_edge.calib.support import LabelledRegion, SupportSet, draw_shots, encode_support, read_support
from mvrec_edge.calib.unknown_evaluation import UnknownResult, evaluate_unknown
from mvrec_edge.runtime.heads.fine_tuning import FineTuning, fine_tune

__all__ = [
    "HEAD_CHOICES",
    "EvaluationSet",
    "FineTuning",
    "HeadFit",
    "HeadResult",
    "LabelledRegion",
    "Protocol",
    "SupportSet",
    "UnknownResult",
    "compare_decisions",
    "draw_shots",
    "encode_support",
    "evaluate",
    "evaluate_unknown",
    "fine_tune",
    "fit_head",
    "fit_novelty",
    "read_features",
    "read_support",
    "sample_shots",
]
