"""What a machine can run: processor, memory, GPU, libraries and engines, and what would put right what it cannot."""

from __future__ import annotations

from mvrec_edge.doctor.description import describe_machine
from mvrec_edge.doctor.diagnosis import Diagnosis
from mvrec_edge.doctor.examination import examine_machine
from mvrec_edge.doctor.findings import BundleStatus, Finding

__all__ = ["BundleStatus", "Diagnosis", "Finding", "describe_machine", "examine_machine"]
