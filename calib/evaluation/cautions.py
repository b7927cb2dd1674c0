"""What keeps the figures of an evaluation from meaning what they seem to mean, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mvrec_edge.calib.evaluation.head_result import HeadResult
from mvrec_edge.calib.evaluation.protocol import EvaluationSet, Protocol
from mvrec_edge.calib.evaluation.splitting import images_on_both_sides
from mvrec_edge.runtime.wording import counted

__all__ = ["FEW_QUERIES", "cautions"]

#: Below so many queries the accuracy of a class says little: one query is five percentage points and more.
FEW_QUERIES = 20

_MOST_NAMED = 10


def cautions(data: EvaluationSet, protocol: Protocol, results: Sequence[HeadResult]) -> tuple[str, ...]:
    """Names classes with few queries, and images that are on both sides of a draw.

    Args:
        data: What was evaluated on.
        protocol: How.
        results: What `evaluate_heads` returned.

    Returns:
        One line each, without a full stop; none where there is nothing to say.
    """
    lines = []
    # The most shots leave the fewest queries.
    fewest = np.min([result.queries for result in results], axis=0)
    few = [(name, int(count)) for name, count in zip(data.class_names, fewest, strict=True) if count < FEW_QUERIES]
    if few:
        named = ", ".join(f"{name} ({count})" for name, count in few[:_MOST_NAMED])
        more = f" and {len(few) - _MOST_NAMED} more" if len(few) > _MOST_NAMED else ""
        lines.append(
            f"fewer than {FEW_QUERIES} queries of {named}{more}: such an accuracy may be far off, as its interval says "
            "(label more defects, or give queries of their own with --query)"
        )
    shared = images_on_both_sides(data.places, protocol.supports, protocol.draws, protocol.split)
    if shared:
        lines.append(
            f"{counted(shared, 'image')} {'has' if shared == 1 else 'have'} regions both among the shots and among the "
            "queries of a draw, and a defect is easier next to one that was learned (--split image keeps each image on "
            "one side)"
        )
    return tuple(lines)
