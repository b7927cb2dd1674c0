"""A graph's certificate in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mvrec_edge.runtime.bundle import Certificate, CutRecord, GraphRecord

__all__ = ["certificate_lines"]


def certificate_lines(graph: GraphRecord) -> list[str]:
    """A line for a graph and one for each of its variants: what it was judged on, and what came of it."""
    lines = [_line(graph.precision, graph)]
    for variant in graph.variants:
        if variant.cut is None:
            line = _line(f"{graph.precision} for {variant.target} ({variant.summary})", variant)
        else:
            target = variant.target.removeprefix("views").removeprefix("-")
            words = "views cut in the graph" + (f" for {target}" if target else "")
            line = f"{_line(f'{graph.precision} with {words}', variant)}; {_cut_words(variant.cut)}"
        if variant.target.endswith("onnxruntime-cuda"):
            line += "; not run on a GPU: 'mvrec-edge verify' does that there"
        lines.append(line)
    return lines


def _cut_words(cut: CutRecord) -> str:
    if not cut.differing:
        same = "every bit that of the views that are cut on the CPU"
        return f"{cut.views} views checked on a CPU, {same}; elsewhere at most 1 of 255 may differ"
    return f"{cut.views} views cut: {cut.differing} values differ, by {cut.largest_difference} of 255 at most"


def _line(name: str, record: Certificate) -> str:
    checks = record.judged_checks
    parts = [f"{name}: no check recorded"]
    if checks:
        mean = sum(check.mean_cosine for check in checks) / len(checks)
        parts = [
            f"{name}: cosine to PyTorch float32 {min(check.worst_cosine for check in checks):.7f} at worst, "
            f"{mean:.7f} on average, largest error {max(check.largest_error for check in checks):.1e} of the norm "
            f"({record.judged or 'seeded views'}, {record.engine})"
        ]
    if record.labels is not None:
        labels = record.labels
        parts.append(
            f"{labels.flips} of {labels.instances} decisions differ, {labels.correct_reference} were right in float32, "
            f"{labels.correct} are; margin lost {labels.mean_margin_lost:.4f} on average, "
            f"{labels.worst_margin_lost:.4f} at worst"
        )
    if not record.within_limits:
        parts.append("BELOW ITS LIMITS, accepted")
    return "; ".join(parts)
