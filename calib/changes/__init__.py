"""Changes of a support cache on the line, without encoding again what is there.

    cache --change (instances, classes, merging)--> Changed --refit (refitting)--> compared with before (comparison)

Each change is a pure function of a cache. `propose` runs all three steps; `SupportVersions` of the runtime writes.
"""

from __future__ import annotations

from mvrec_edge.calib.changes.by_part import class_of_part, other_classes
from mvrec_edge.calib.changes.changed import Changed
from mvrec_edge.calib.changes.classes import merge_classes, rename_class
from mvrec_edge.calib.changes.comparison import Comparison, Reading, compare, read_left_out
from mvrec_edge.calib.changes.membership import add_instances, find_places, not_there_yet, remove_instances
from mvrec_edge.calib.changes.merging import merge_caches
from mvrec_edge.calib.changes.proposal import Proposal, propose
from mvrec_edge.calib.changes.refitting import Refitted, refit

__all__ = [
    "Changed",
    "Comparison",
    "Proposal",
    "Reading",
    "Refitted",
    "add_instances",
    "class_of_part",
    "compare",
    "find_places",
    "merge_caches",
    "merge_classes",
    "not_there_yet",
    "other_classes",
    "propose",
    "read_left_out",
    "refit",
    "remove_instances",
    "rename_class",
]
