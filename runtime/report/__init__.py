"""A report: one HTML file to look through classified regions, which needs nothing else and reaches nothing else.

predictions, image by image --ReportWriter.add--> records + pictures --close--> report.html
results.jsonl --check_record, ReportWriter.add_records--^
"""

from __future__ import annotations

from mvrec_edge.runtime.report.record import AddCommand, ReportLimits, Section
from mvrec_edge.runtime.report.recorded import check_record
from mvrec_edge.runtime.report.report_writer import ReportSummary, ReportWriter

__all__ = ["AddCommand", "ReportLimits", "ReportSummary", "ReportWriter", "Section", "check_record"]
