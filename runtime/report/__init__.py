"""A report: one HTML file to look through classified regions, which needs nothing else and reaches nothing else.

predictions, image by image --ReportWriter.add--> records + pictures --close--> report.html
"""

from __future__ import annotations

from mvrec_edge.runtime.report.record import ReportLimits, Section
from mvrec_edge.runtime.report.report_writer import ReportSummary, ReportWriter

__all__ = ["ReportLimits", "ReportSummary", "ReportWriter", "Section"]
