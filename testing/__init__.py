"""Helpers for the tests of programs built on this package: an engine without a model, and made-up surfaces."""

from __future__ import annotations

from mvrec_edge.testing.fake_engine import FakeEngine
from mvrec_edge.testing.surfaces import HELD_OUT_FAMILIES

__all__ = ["HELD_OUT_FAMILIES", "FakeEngine"]
