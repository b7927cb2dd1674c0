"""Views group by group, as many as a decision takes, with full engine batches all the while."""

from __future__ import annotations

from mvrec_edge.runtime.gradual.loop import (
    DEFAULT_RISK,
    Rule,
    SeenImage,
    SeenRegion,
    ViewUse,
    parse_risk,
    parse_views,
    see_gradually,
)

__all__ = [
    "DEFAULT_RISK",
    "Rule",
    "SeenImage",
    "SeenRegion",
    "ViewUse",
    "parse_risk",
    "parse_views",
    "see_gradually",
]
