"""All of a classifier that depends on its support cache, in one object."""

from __future__ import annotations

from dataclasses import dataclass

from mvrec_edge.runtime.classifier.checks import check_encoder, check_view_size
from mvrec_edge.runtime.classifier.recentring import Recentring, check_recentring
from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.gradual import StoppingRule, ViewUse
from mvrec_edge.runtime.heads import Head, open_head
from mvrec_edge.runtime.novelty import NoveltyScorer
from mvrec_edge.runtime.novelty.drift import DriftMonitor
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.views import ViewPlan
from mvrec_edge.runtime.views.schedule import default_schedule

__all__ = ["SupportInUse"]


@dataclass(frozen=True)
class SupportInUse:
    """All of a classifier that depends on its support cache.

    A classifier holds one of these and takes it in hand once for each image; a new cache is a new object, put in place
    by one assignment. Whatever else follows from a cache belongs here, so that no prediction meets half of a change.

    Attributes:
        cache: The support cache.
        plan: The views it was made with.
        head: The head over it.
        rule: When the views seen are enough.
        novelty: What scores regions as unlike all classes; None where calibration did not measure it.
        drift: What watches those scores; None where it was not asked for or cannot be told.
        recentring: The centre that follows the line; None where it stays.
    """

    cache: SupportCache
    plan: ViewPlan
    head: Head
    rule: StoppingRule
    novelty: NoveltyScorer | None
    drift: DriftMonitor | None
    recentring: Recentring | None = None

    @classmethod
    def open(
        cls,
        cache: SupportCache,
        engine: Engine,
        head: Head | None,
        use: ViewUse,
        reject_rate: float | None,
        drift_window: int | None,
        recentre: bool = False,
    ) -> SupportInUse:
        """Checks that a cache and an engine belong together, and makes what depends on the cache."""
        check_encoder(cache, engine.fingerprint, engine.precision)
        if cache.view_plan is None:
            raise UsageError("the support cache has no view plan", fix="make it with view_plan=...")
        check_view_size(engine, cache.view_plan)
        head = head or open_head(cache)
        if recentre:
            check_recentring(head, use)
        rule = StoppingRule(head, cache.schedule or default_schedule(cache.view_plan), use)
        novelty = None if cache.novelty is None and reject_rate is None else NoveltyScorer(cache, reject_rate)
        drift = None
        if drift_window is not None and novelty is not None and novelty.known.measured:
            drift = DriftMonitor(drift_window, novelty.known)
        return cls(cache, cache.view_plan, head, rule, novelty, drift, Recentring(head) if recentre else None)
