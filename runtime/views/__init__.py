"""Views: which windows are cut around a region, and how they are resampled."""

from __future__ import annotations

from mvrec_edge.runtime.views.crop import crop_views, with_windows
from mvrec_edge.runtime.views.plan import View, ViewPlan

__all__ = ["View", "ViewPlan", "crop_views", "with_windows"]
