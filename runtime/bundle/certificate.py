"""What a graph was checked against when it was exported: the certificate that travels in the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from mvrec_edge.runtime.bundle.precision import PRECISIONS
from mvrec_edge.runtime.errors import IntegrityError
from mvrec_edge.runtime.files.json_documents import Fields

__all__ = [
    "VARIANT_TARGETS",
    "VIEWS_TARGETS",
    "Certificate",
    "CheckRecord",
    "CutRecord",
    "GraphRecord",
    "LabelRecord",
    "VariantRecord",
]

#: Targets of graphs that cut views and encode them: one of standard operators, and one over the variant for CUDA.
VIEWS_TARGETS = ("views", "views-onnxruntime-cuda")
#: Engines that a graph may have a variant for, and what they must run on; and graphs that cut views.
VARIANT_TARGETS = ("onnxruntime-x86", "onnxruntime-cuda", *VIEWS_TARGETS)

_MOST_CHECKS = 1024
_MOST_INSTANCES = 1 << 20


@dataclass(frozen=True)
class CheckRecord:
    """How one batch of views came through the exported graph, against the PyTorch module in float32.

    Attributes:
        kind: What the views were, such as `"seeded noise"`.
        batch: Views in the batch.
        worst_cosine: Smallest cosine between the two embeddings of a view.
        mean_cosine: Mean of the same cosines.
        largest_error: Largest absolute difference of a component, as a share of the embedding's norm.
        batch_error: Largest difference from what the graph answered to the same views in the smallest batch.
    """

    kind: str
    batch: int
    worst_cosine: float
    mean_cosine: float
    largest_error: float
    batch_error: float = 0.0

    @classmethod
    def parse(cls, fields: Fields) -> CheckRecord:
        """Reads one record of a manifest."""
        return cls(
            kind=fields.text("kind"),
            batch=fields.integer("batch", 1, 1 << 20),
            worst_cosine=fields.number("worst_cosine", -1.01, 1.01),
            mean_cosine=fields.number("mean_cosine", -1.01, 1.01),
            largest_error=fields.number("largest_error", 0.0, 1e9),
            batch_error=fields.number("batch_error", 0.0, 1e9),
        )


@dataclass(frozen=True)
class LabelRecord:
    """What a precision changes in the decisions on the calibration set, keys and queries both encoded with it.

    Every instance is decided by the others (leave one out), once on float32 embeddings and once on the graph's.

    Attributes:
        instances: Instances that could be left out.
        flips: Instances whose decision differs.
        correct_reference: Instances decided rightly on the float32 embeddings.
        correct: Instances decided rightly on the graph's embeddings.
        mean_margin_lost: Mean loss of the probability margin between the float32 decision and the best other class;
            negative where the margin grew.
        worst_margin_lost: The largest such loss.
    """

    instances: int
    flips: int
    correct_reference: int
    correct: int
    mean_margin_lost: float
    worst_margin_lost: float

    @classmethod
    def parse(cls, fields: Fields) -> LabelRecord:
        """Reads one record of a manifest."""
        return cls(
            instances=fields.integer("instances", 0, _MOST_INSTANCES),
            flips=fields.integer("flips", 0, _MOST_INSTANCES),
            correct_reference=fields.integer("correct_reference", 0, _MOST_INSTANCES),
            correct=fields.integer("correct", 0, _MOST_INSTANCES),
            mean_margin_lost=fields.number("mean_margin_lost", -2.0, 2.0),
            worst_margin_lost=fields.number("worst_margin_lost", -2.0, 2.0),
        )


@dataclass(frozen=True)
class CutRecord:
    """How the views that a graph cuts compare with those that `crop_views` cuts.

    Attributes:
        views: How many were compared.
        differing: How many of their values differ.
        largest_difference: The largest difference of a value, in steps of 255.
    """

    views: int
    differing: int
    largest_difference: int

    @classmethod
    def parse(cls, fields: Fields) -> CutRecord:
        """Reads one record of a manifest."""
        return cls(
            views=fields.integer("views", 1, 1 << 20),
            differing=fields.integer("differing", 0, 1 << 40),
            largest_difference=fields.integer("largest_difference", 0, 255),
        )


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What came of a graph when it was exported.

    Attributes:
        checks: What it was checked against; empty where the machine of the export could not run it.
        engine: The library that ran it for the check.
        judged: The kind of views that its limits were held against; empty for every kind.
        labels: What it changes in decisions; None where no labels were given.
        within_limits: Whether it keeps its limits; a graph that does not is in a bundle only where `--accept` was
            given.
    """

    checks: tuple[CheckRecord, ...] = ()
    engine: str = "onnxruntime"
    judged: str = ""
    labels: LabelRecord | None = None
    within_limits: bool = True

    @property
    def judged_checks(self) -> tuple[CheckRecord, ...]:
        """The checks that the limits were held against."""
        return tuple(check for check in self.checks if self.judged in ("", check.kind))

    @staticmethod
    def _parsed(fields: Fields) -> _CertificateFields:
        checks = [Fields(item, f"{fields.where}: checks") for item in fields.sequence("checks", most=_MOST_CHECKS)]
        labels = fields.payload.get("labels")
        return {
            "checks": tuple(CheckRecord.parse(check) for check in checks),
            "engine": fields.text("engine", longest=64),
            "judged": fields.text("judged", longest=64),
            "labels": None if labels is None else LabelRecord.parse(Fields(labels, f"{fields.where}: labels")),
            "within_limits": fields.payload.get("within_limits") is True,
        }


class _CertificateFields(TypedDict):
    checks: tuple[CheckRecord, ...]
    engine: str
    judged: str
    labels: LabelRecord | None
    within_limits: bool


@dataclass(frozen=True)
class VariantRecord(Certificate):
    """A further graph over the weights of another, with operators that are one engine's own, and its certificate.

    Attributes:
        file: Its file name.
        target: Which engine takes it, and on what: one of `VARIANT_TARGETS`.
        summary: What is fused in it, such as `"18 fused products"`.
        cut: For a graph that cuts views, how they compare; None for any other.
    """

    file: str
    target: str
    summary: str
    cut: CutRecord | None = None

    @classmethod
    def parse(cls, fields: Fields) -> VariantRecord:
        """Reads one record of a manifest."""
        target = fields.choice("target", *VARIANT_TARGETS)
        cut = fields.payload.get("cut")
        if (cut is not None) != (target in VIEWS_TARGETS):
            raise IntegrityError(
                "a variant's certificate is not that of its target", where=fields.where, fix="export the bundle again"
            )
        return cls(
            file=fields.text("file"),
            target=target,
            summary=fields.text("summary", longest=64),
            cut=None if cut is None else CutRecord.parse(Fields(cut, f"{fields.where}: cut")),
            **cls._parsed(fields),
        )


@dataclass(frozen=True)
class GraphRecord(Certificate):
    """One ONNX graph of a bundle, and its certificate.

    Attributes:
        file: Its file name.
        weights: Name of the file beside it that holds its weights.
        precision: `"fp32"`, `"fp16"`, `"bf16"` or `"int8"`.
        calibrated_on: The kind of views that an int8 graph's ranges were measured on; empty for the others.
        variants: Further graphs over the same weights, at most one for a target.
    """

    file: str
    weights: str
    precision: str
    calibrated_on: str = ""
    variants: tuple[VariantRecord, ...] = ()

    def variant(self, target: str | None) -> VariantRecord | None:
        """The record of the variant for a target; None without."""
        return next((variant for variant in self.variants if variant.target == target), None)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of all its files."""
        return (self.file, self.weights, *(variant.file for variant in self.variants))

    @classmethod
    def parse(cls, fields: Fields) -> GraphRecord:
        """Reads one record of a manifest."""
        items = fields.sequence("variants", most=len(VARIANT_TARGETS))
        variants = tuple(VariantRecord.parse(Fields(item, f"{fields.where}: variants")) for item in items)
        if len({variant.target for variant in variants}) < len(variants):
            raise IntegrityError("two variants are for one target", where=fields.where, fix="export the bundle again")
        return cls(
            file=fields.text("file"),
            weights=fields.text("weights"),
            precision=fields.choice("precision", *PRECISIONS),
            calibrated_on=fields.text("calibrated_on", longest=64),
            variants=variants,
            **cls._parsed(fields),
        )
