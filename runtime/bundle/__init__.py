"""Bundles: what `export` writes and the engines read."""

from __future__ import annotations

from mvrec_edge.runtime.bundle.architecture import EncoderArchitecture, LiteArchitecture, TransformerArchitecture
from mvrec_edge.runtime.bundle.bundle import Bundle, check_free, write_bundle
from mvrec_edge.runtime.bundle.certificate import (
    VARIANT_TARGETS,
    VIEWS_TARGETS,
    Certificate,
    CheckRecord,
    CutRecord,
    GraphRecord,
    LabelRecord,
    VariantRecord,
)
from mvrec_edge.runtime.bundle.golden import Golden
from mvrec_edge.runtime.bundle.held_graph import HeldGraph
from mvrec_edge.runtime.bundle.manifest import FileRecord, Manifest, WeightsSource
from mvrec_edge.runtime.bundle.plan_record import PLAN_VARIANTS, PlanRecord
from mvrec_edge.runtime.bundle.precision import PRECISIONS, PrecisionLimits, limits_of, parse_precisions

__all__ = [
    "PLAN_VARIANTS",
    "PRECISIONS",
    "VARIANT_TARGETS",
    "VIEWS_TARGETS",
    "Bundle",
    "Certificate",
    "CheckRecord",
    "CutRecord",
    "EncoderArchitecture",
    "FileRecord",
    "Golden",
    "GraphRecord",
    "HeldGraph",
    "LabelRecord",
    "LiteArchitecture",
    "Manifest",
    "PlanRecord",
    "PrecisionLimits",
    "TransformerArchitecture",
    "VariantRecord",
    "WeightsSource",
    "check_free",
    "limits_of",
    "parse_precisions",
    "write_bundle",
]
