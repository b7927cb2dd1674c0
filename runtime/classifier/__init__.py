"""The whole of the light runtime in one object: image and regions in, predictions out."""

from __future__ import annotations

from mvrec_edge.runtime.classifier.checks import RandomWeightsWarning, check_encoder, check_view_size, warn_if_random
from mvrec_edge.runtime.classifier.defect_classifier import DefectClassifier, ReloadWarning

__all__ = [
    "DefectClassifier",
    "RandomWeightsWarning",
    "ReloadWarning",
    "check_encoder",
    "check_view_size",
    "warn_if_random",
]
