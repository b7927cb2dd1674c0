"""The precisions a graph is written in, and the certificate of each."""

from __future__ import annotations

from mvrec_edge.export.precision.calibration import Calibration
from mvrec_edge.export.precision.certify import Certifier
from mvrec_edge.export.precision.certify_cutting import CuttingCertifier
from mvrec_edge.export.precision.variants import write_variant

__all__ = ["Calibration", "Certifier", "CuttingCertifier", "write_variant"]
