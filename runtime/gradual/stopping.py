"""When the views seen are enough for a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.gradual.view_use import ViewUse
from mvrec_edge.runtime.heads import Head
from mvrec_edge.runtime.heads.evidence import UnseenViews, change_probability
from mvrec_edge.runtime.views.schedule import ViewSchedule
from mvrec_edge.runtime.wording import counted

__all__ = ["PartsRule", "Rule", "StoppingRule"]


class Rule(Protocol):
    """When the views of a region are enough.

    Attributes:
        use: How many views are wanted.
    """

    @property
    def use(self) -> ViewUse:
        """How many views are wanted."""

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """The groups of views that are encoded one after another."""

    def risk(self, embeddings: npt.NDArray[np.float32], seen: npt.NDArray[np.intp]) -> float:
        """Probability that all views would say otherwise."""

    def describe(self) -> str:
        """Where the order of views and the rule come from, in one line."""


@dataclass(frozen=True)
class StoppingRule:
    """When the views seen are enough, for one support cache.

    Attributes:
        head: The head.
        schedule: The order of the views, and how far the views not seen may reach.
        use: How many views are wanted.
    """

    head: Head
    schedule: ViewSchedule
    use: ViewUse

    @cached_property
    def _unseen(self) -> UnseenViews:
        return UnseenViews(self.head)

    def __post_init__(self) -> None:
        wanted, there = self.use.views, len(self.schedule.order)
        if not isinstance(wanted, str) and not 1 <= wanted <= there:
            raise UsageError(
                f"the support cache has {counted(there, 'view')} of each instance, so {wanted} cannot be used",
                fix=f"give --views 1 to {there}, all or auto",
            )

    @cached_property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """The groups of views that are encoded one after another."""
        if isinstance(self.use.views, str):
            return self.schedule.groups
        if self.use.budget_ms is None:
            return (self.schedule.order[: self.use.views],)
        return self.schedule.first(self.use.views)

    def risk(self, embeddings: npt.NDArray[np.float32], seen: npt.NDArray[np.intp]) -> float:
        """Probability that all views would say otherwise; see `UnseenViews` and `change_probability`."""
        if len(seen) == len(self.schedule.order):
            return 0.0
        return change_probability(self._unseen.margins(embeddings, seen), self.schedule.spread_factors)

    def describe(self) -> str:
        """See `Rule`."""
        return self.schedule.describe()


@dataclass(frozen=True)
class PartsRule:
    """When the views of a region are enough whose part is not known, so that its views choose the part as well.

    Attributes:
        between: The rule for the choice of the part; its order of views is the one that is followed.
        within: The rule of each part.
    """

    between: StoppingRule
    within: Mapping[str, Rule]

    @property
    def use(self) -> ViewUse:
        """See `Rule`."""
        return self.between.use

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """See `Rule`."""
        return self.between.steps

    def risk(self, embeddings: npt.NDArray[np.float32], seen: npt.NDArray[np.intp]) -> float:
        """Probability that all views would choose another part, or another class of this one (Boole's inequality)."""
        head = self.between.head
        place = int(head.logits(embeddings[None], seen.tolist())[0].argmax())
        rule = self.within[head.cache.class_names[place]]
        return min(1.0, self.between.risk(embeddings, seen) + rule.risk(embeddings, seen))

    def describe(self) -> str:
        """See `Rule`."""
        return f"a part that is given has its own order of views and stopping rule; else {self.between.describe()}"
