"""Everything that is computed from a user's labelled samples; numpy alone, so it runs on the line."""

from __future__ import annotations

from mvrec_edge.calib.calibration import CalibrateSettings, calibrate, fit_support, rebase
from mvrec_edge.calib.evaluation.decisions import compare_decisions
from mvrec_edge.calib.evaluation.features import read_features
from mvrec_edge.calib.evaluation.head_result import HeadResult
from mvrec_edge.calib.evaluation.paired_difference import PairedDifference
from mvrec_edge.calib.evaluation.protocol import EvaluationSet, Protocol, evaluate_heads
from mvrec_edge.calib.evaluation.review import ReviewResult, evaluate_review
from mvrec_edge.calib.evaluation.set_evaluation import (
    EvaluateSettings,
    Evaluation,
    encode_sets,
    evaluate_embeddings,
    evaluate_sets,
)
from mvrec_edge.calib.evaluation.shot_counts import ShotRange
from mvrec_edge.calib.evaluation.unknown import UnknownResult, evaluate_unknown
from mvrec_edge.calib.fine_tuning.training import FineTuning, fine_tune
from mvrec_edge.calib.fitting.head_fitting import HEAD_CHOICES, HeadFit, fit_head
from mvrec_edge.calib.fitting.novelty_fitting import fit_novelty
from mvrec_edge.calib.fitting.review_fitting import fit_review
from mvrec_edge.calib.instances.encoding import encode_support
from mvrec_edge.calib.instances.labelled import LabelledRegion, LabelledSet, read_labelled
from mvrec_edge.calib.instances.sampling import sample_shots
from mvrec_edge.calib.observer import Advance, Observer
from mvrec_edge.calib.tuned_calibration import TunedCalibration, calibrate_tuned

__all__ = [
    "HEAD_CHOICES",
    "Advance",
    "CalibrateSettings",
    "EvaluateSettings",
    "Evaluation",
    "EvaluationSet",
    "FineTuning",
    "HeadFit",
    "HeadResult",
    "LabelledRegion",
    "LabelledSet",
    "Observer",
    "PairedDifference",
    "Protocol",
    "ReviewResult",
    "ShotRange",
    "TunedCalibration",
    "UnknownResult",
    "calibrate",
    "calibrate_tuned",
    "compare_decisions",
    "encode_sets",
    "encode_support",
    "evaluate_embeddings",
    "evaluate_heads",
    "evaluate_review",
    "evaluate_sets",
    "evaluate_unknown",
    "fine_tune",
    "fit_head",
    "fit_novelty",
    "fit_review",
    "fit_support",
    "read_features",
    "read_labelled",
    "rebase",
    "sample_shots",
]
