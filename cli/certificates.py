"""A graph's certificate in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mvrec_edge.runtime.bundle import GraphRecord

__all__ = ["certificate_line"]


def certificate_line(graph: GraphRecord) -> str:
    """One line: what the graph was judged on, and what came of it."""
    checks = graph.judged_checks
    parts = [f"{graph.precision}: no check recorded"]
    if checks:
        mean = sum(check.mean_cosine for check in checks) / len(checks)
        parts = [
            f"{graph.precision}: cosine to PyTorch float32 {min(check.worst_cosine for check in checks):.7f} at worst, "
            f"{mean:.7f} on average, largest error {max(check.largest_error for check in checks):.1e} of the norm "
            f"({graph.judged or 'seeded views'}, {graph.engine})"
        ]
    if graph.labels is not None:
        labels = graph.labels
        parts.append(
            f"{labels.flips} of {labels.instances} decisions differ, {labels.correct_reference} were right in float32, "
            f"{labels.correct} are; margin lost {labels.mean_margin_lost:.4f} on average, "
            f"{labels.worst_margin_lost:.4f} at worst"
        )
    if not graph.within_limits:
        parts.append("BELOW ITS LIMITS, accepted")
    return "; ".join(parts)
