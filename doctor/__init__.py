"""What a machine can run: processor, memory, GPU, libraries and engines, and what would put right what it cannot."""

from __future__ import annotations

from mvrec_edge.doctor.description import describe_machine
from mvrec_edge.doctor.examination import examine_machine
from mvrec_edge.doctor.report import BundleStatus, Finding, Report

__all__ = ["BundleStatus", "Finding", "Report", "describe_machine", "examine_machine"]
