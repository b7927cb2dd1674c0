"""Views group by group, as many as a decision takes, with full engine batches all the while."""

from __future__ import annotations

from mvrec_edge.runtime.gradual.group_loop import SeenImage, SeenRegion, see_gradually
from mvrec_edge.runtime.gradual.stopping import PartsRule, Rule, StoppingRule
from mvrec_edge.runtime.gradual.view_use import DEFAULT_RISK, ViewUse, parse_risk, parse_views

__all__ = [
    "DEFAULT_RISK",
    "PartsRule",
    "Rule",
    "SeenImage",
    "SeenRegion",
    "StoppingRule",
    "ViewUse",
    "parse_risk",
    "parse_views",
    "see_gradually",
]
