"""Everything that is computed from a user's labelled samples; numpy alone, so it runs on the line."""

from __future__ import annotations

from mvrec_edge.calib.evaluation.decisions import compare_decisions
from mvrec_edge.calib.evaluation.features import read_features
from mvrec_edge.calib.evaluation.protocol import EvaluationSet, HeadResult, Protocol, evaluate
from mvrec_edge.calib.evaluation.unknown import UnknownResult, evaluate_unknown
from mvrec_edge.calib.fine_tuning.training import FineTuning, fine_tune
from mvrec_edge.calib.fitting.head_fitting import HEAD_CHOICES, HeadFit, fit_head
from mvrec_edge.calib.fitting.novelty_fitting import fit_novelty
from mvrec_edge.calib.labelled import LabelledRegion, SupportSet, draw_shots, encode_support, read_support
from mvrec_edge.calib.sampling import sample_shots

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
