"""What a machine can run: processor, memory, GPU, libraries and engines, and what would put right what it cannot."""

from __future__ import annotations

from mvrec_edge.runtime.machine.description import describe_machine
from mvrec_edge.runtime.machine.examination import examine_machine
from mvrec_edge.runtime.machine.report import BundleStatus, Finding, Report

__all__ = ["BundleStatus", "Finding", "Report", "describe_machine", "examine_machine"]
