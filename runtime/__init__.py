"""The light runtime: everything that runs on the line, with numpy and OpenCV alone.

    image + regions --views--> uint8 [V, S, S, 4] --engine.encode--> float32 [V, C] --head + cache--> Prediction

Neither this package nor anything it imports needs PyTorch or onnx; an engine's library is imported when the
engine is opened.
"""

from __future__ import annotations

from mvrec_edge.runtime.bundle import Bundle
from mvrec_edge.runtime.classifier import (
    ClassifiedImage,
    ClassifySettings,
    DefectClassifier,
    RandomWeightsWarning,
    ReloadWarning,
    ReviewWarning,
    classify_source,
)
from mvrec_edge.runtime.engines import Engine, engine_names, open_engine
from mvrec_edge.runtime.engines.encoding import ImageRegions
from mvrec_edge.runtime.gradual import ViewUse
from mvrec_edge.runtime.heads import (
    AveragedHeads,
    CentredZipAdapter,
    FineTunedZipAdapter,
    Head,
    HeadPrediction,
    Neighbour,
    WhitenedMeans,
    WhitenedViews,
    ZipAdapter,
    head_names,
    open_head,
)
from mvrec_edge.runtime.images import read_image, read_mask, to_rgb_uint8
from mvrec_edge.runtime.novelty import Novelty, NoveltyScorer
from mvrec_edge.runtime.novelty.drift import DriftWarning
from mvrec_edge.runtime.prediction import Prediction, StageTimes
from mvrec_edge.runtime.regions import Region, open_source, regions_of_mask
from mvrec_edge.runtime.support.cache import Adapter, SupportCache
from mvrec_edge.runtime.support.head_settings import HeadSettings
from mvrec_edge.runtime.views import ViewPlan, crop_views

__all__ = [
    "Adapter",
    "AveragedHeads",
    "Bundle",
    "CentredZipAdapter",
    "ClassifiedImage",
    "ClassifySettings",
    "DefectClassifier",
    "DriftWarning",
    "Engine",
    "FineTunedZipAdapter",
    "Head",
    "HeadPrediction",
    "HeadSettings",
    "ImageRegions",
    "Neighbour",
    "Novelty",
    "NoveltyScorer",
    "Prediction",
    "RandomWeightsWarning",
    "Region",
    "ReloadWarning",
    "ReviewWarning",
    "StageTimes",
    "SupportCache",
    "ViewPlan",
    "ViewUse",
    "WhitenedMeans",
    "WhitenedViews",
    "ZipAdapter",
    "classify_source",
    "crop_views",
    "engine_names",
    "head_names",
    "open_engine",
    "open_head",
    "open_source",
    "read_image",
    "read_mask",
    "regions_of_mask",
    "to_rgb_uint8",
]
