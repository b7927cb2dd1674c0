"""Everything that is computed from a user's labelled samples; numpy alone, so it runs on the line."""

from __future__ import annotations

from mvrec_edge.calib.sampling import sample_shots
from mvrec_edge.calib.support import LabelledRegion, SupportSet, draw_shots, encode_support, read_support

__all__ = [
    "LabelledRegion",
    "SupportSet",
    "draw_shots",
    "encode_support",
    "read_support",
    "sample_shots",
]
