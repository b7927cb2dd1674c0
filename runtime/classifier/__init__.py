"""The whole of the light runtime: in one object, image and regions in, predictions out; as a stage, over a source."""

from __future__ import annotations

from mvrec_edge.runtime.classifier.checks import (
    RandomWeightsWarning,
    ReviewWarning,
    check_encoder,
    check_view_size,
    matching_precision,
    warn_if_random,
)
from mvrec_edge.runtime.classifier.classification import ClassifiedImage, ClassifySettings, classify_source
from mvrec_edge.runtime.classifier.defect_classifier import DefectClassifier, ReloadWarning

__all__ = [
    "ClassifiedImage",
    "ClassifySettings",
    "DefectClassifier",
    "RandomWeightsWarning",
    "ReloadWarning",
    "ReviewWarning",
    "check_encoder",
    "check_view_size",
    "classify_source",
    "matching_precision",
    "warn_if_random",
]
