"""All of a classifier that depends on its support cache, in one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.classifier.checks import check_encoder, check_view_size
from mvrec_edge.runtime.classifier.recentring import Recentring, check_one_centre, check_recentring
from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.gradual import PartsRule, Rule, StoppingRule, ViewUse
from mvrec_edge.runtime.heads import Head, open_head
from mvrec_edge.runtime.novelty import NoveltyScorer
from mvrec_edge.runtime.novelty.drift import DriftMonitor
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.support.parts import parts_as_classes, parts_of, places_of
from mvrec_edge.runtime.support.review_limits import ReviewLimits
from mvrec_edge.runtime.views import ViewPlan
from mvrec_edge.runtime.views.schedule import default_schedule

__all__ = ["PartChoice", "SupportInUse"]


@dataclass(frozen=True)
class PartChoice:
    """Which part of the support a region is classified by.

    Attributes:
        name: The part.
        given: Whether it was given, and not chosen by the embedding.
        probability: How probable the embedding makes this part, 0 to 1, given or not.
        likeliest: Whether the embedding makes no other part more probable.
    """

    name: str
    given: bool
    probability: float
    likeliest: bool

    @property
    def of_class(self) -> float:
        """What a class's probability within the part is multiplied by before it is compared with a limit, 0 to 1.

        A part that the line knows is taken as certain, unless the embedding finds another one more probable.
        """
        return 1.0 if self.given and self.likeliest else self.probability


@dataclass(frozen=True)
class SupportInUse:
    """All of a classifier that depends on its support cache.

    A classifier holds one of these and takes it in hand once for each image; a new cache is a new object, put in place
    by one assignment. Whatever else follows from a cache belongs here, so that no prediction meets half of a change.

    Attributes:
        cache: The support cache.
        plan: The views it was made with.
        head: The head over it; of a cache of several parts the one that tells these apart.
        rule: When the views seen are enough; of several parts, where the part is not given.
        novelty: What scores regions as unlike all classes; None where calibration did not measure it.
        drift: What watches those scores; None where it was not asked for or cannot be told.
        review: Below which probability a human looks at a region; None where calibration did not say, or where the head
            is another than the one whose probabilities the limits are of.
        parts: Of a cache with parts, each part as the cache that it is; else none.
        places: Where the instances of each part stand in the whole cache, int64 `[n]`.
        recentring: The centre that follows the line; None where it stays.
    """

    cache: SupportCache
    plan: ViewPlan
    head: Head
    rule: Rule
    novelty: NoveltyScorer | None
    drift: DriftMonitor | None
    review: ReviewLimits | None
    recentring: Recentring | None = None
    parts: Mapping[str, SupportInUse] = field(default_factory=dict)
    places: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)

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
        if cache.parts:
            if head is not None:
                raise UsageError(
                    "a head that is given does not go with a support cache of several parts",
                    fix="leave it out: each part has its own",
                )
            if recentre:
                check_one_centre(cache)
            within = {
                name: cls.open(part, engine, None, use, reject_rate, drift_window, recentre)
                for name, part in parts_of(cache).items()
            }
            return cls._of_parts(cache, cache.view_plan, use, within)
        review = cache.review if head is None else None
        head = head or open_head(cache)
        if recentre:
            check_recentring(head, use)
        rule = StoppingRule(head, cache.schedule or default_schedule(cache.view_plan), use)
        novelty = None if cache.novelty is None and reject_rate is None else NoveltyScorer(cache, reject_rate)
        drift = None
        if drift_window is not None and novelty is not None and novelty.known.measured:
            drift = DriftMonitor(drift_window, novelty.known)
        moving = Recentring(head) if recentre else None
        return cls(cache, cache.view_plan, head, rule, novelty, drift, review, recentring=moving)

    @classmethod
    def _of_parts(
        cls, cache: SupportCache, plan: ViewPlan, use: ViewUse, within: Mapping[str, SupportInUse]
    ) -> SupportInUse:
        """Several parts, each as it would be alone, and what tells them apart; a single one needs no telling."""
        places = {name: places_of(cache, name) for name in within}
        first = next(iter(within.values()))
        if len(within) == 1:
            return cls(cache, plan, first.head, first.rule, None, None, None, parts=within, places=places)
        head = open_head(parts_as_classes(cache))
        rule = PartsRule(
            StoppingRule(head, default_schedule(plan), use), {name: each.rule for name, each in within.items()}
        )
        return cls(cache, plan, head, rule, None, None, None, parts=within, places=places)

    def rule_of(self, region: Region) -> Rule:
        """When the views of a region are enough: by the rule of its part, where that is given."""
        if not self.parts or region.part is None:
            return self.rule
        return self._given(region.part).rule

    def choose(
        self,
        regions: Sequence[Region],
        embeddings: npt.NDArray[np.float32],
        views: Sequence[int] | None = None,
    ) -> list[PartChoice]:
        """The part that each region is classified by: the one that is given, or else the most probable one.

        Args:
            regions: The regions.
            embeddings: float32 `[M, P, C]`.
            views: Which views these are; see `Head.logits`.

        Raises:
            UsageError: A part is given that the cache does not have.
        """
        names = tuple(self.parts)
        probabilities = np.ones((len(regions), 1), np.float32)
        if len(names) > 1 and len(regions):
            probabilities = self.head.probabilities(embeddings, views)
        choices = []
        for region, row in zip(regions, probabilities, strict=True):
            given = region.part
            if given is not None:
                self._given(given)
            name = names[int(row.argmax())] if given is None else given
            probability = row[names.index(name)]
            choices.append(PartChoice(name, given is not None, float(probability), bool(probability >= row.max())))
        return choices

    def _given(self, name: str) -> SupportInUse:
        if name not in self.parts:
            raise UsageError(
                f"the support cache has no part '{name}'", fix=f"give one of its parts: {', '.join(self.parts)}"
            )
        return self.parts[name]
