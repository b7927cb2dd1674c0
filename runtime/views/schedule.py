"""The order in which a plan's views are encoded, and how sure a decision must be to stop before the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.files.json_documents import Fields
from mvrec_edge.runtime.views.plan import ViewPlan

__all__ = ["CAUTION", "ViewSchedule", "default_schedule", "grouped"]

#: `spread_factors` where it could not be fitted: as wide as a belief of "1, give or take a third" reaches.
CAUTION = (1.5,)

_NARROWEST, _WIDEST = 0.1, 100.0
_MOST_VIEWS = 1024
_MOST_FACTORS = 64
_MOST_LEFT_OUT = 1 << 20


@dataclass(frozen=True)
class ViewSchedule:
    """Views in groups: the first is encoded always, each further one where the decision is not settled.

    Attributes:
        groups: Indices of the plan's views; together each view once.
        spread_factors: Factors, equally probable, by which the spread that the views not seen yet bring may exceed the
            expected one, each 0.1 to 100.
        left_out: Support instances that `spread_factors` was fitted on; 0 where it is `CAUTION`.
        stopped: Of those, how many would have been settled before the last view at a risk of 1%.
        differed: Of those that stopped, how many decisions differ from that of all views.
        use: How many views are used where the user does not say: `"all"`, `"auto"`, or a number.

    Raises:
        UsageError: A field is not usable.
    """

    groups: tuple[tuple[int, ...], ...]
    spread_factors: tuple[float, ...] = CAUTION
    left_out: int = 0
    stopped: int = 0
    differed: int = 0
    use: str | int = "all"

    def __post_init__(self) -> None:
        order = self.order
        if not 1 <= len(order) <= _MOST_VIEWS or not all(self.groups) or sorted(order) != list(range(len(order))):
            raise UsageError("a view schedule must hold each view of its plan once, in groups that are not empty")
        reach = all(_NARROWEST <= factor <= _WIDEST for factor in self.spread_factors)
        if not 1 <= len(self.spread_factors) <= _MOST_FACTORS or not reach:
            raise UsageError(
                f"a view schedule has 1 to {_MOST_FACTORS} factors of the spread from {_NARROWEST:g} to {_WIDEST:g}"
            )
        if not 0 <= self.differed <= self.stopped <= self.left_out <= _MOST_LEFT_OUT:
            raise UsageError("a view schedule's counts contradict each other")
        if self.use not in ("all", "auto") and not (type(self.use) is int and 1 <= self.use <= len(order)):
            raise UsageError("a view schedule's use is 'all', 'auto' or a number of its views")

    @property
    def order(self) -> tuple[int, ...]:
        """All views in the order they are encoded."""
        return tuple(view for group in self.groups for view in group)

    @property
    def fitted(self) -> bool:
        """Whether the stopping rule was fitted to the support, rather than set to the cautious default."""
        return self.left_out > 0

    def first(self, count: int) -> tuple[tuple[int, ...], ...]:
        """The groups of the first `count` views; the last may be cut short."""
        kept = []
        for group in self.groups:
            kept.append(group[:count])
            count -= len(kept[-1])
            if count == 0:
                break
        return tuple(kept)

    def describe(self) -> str:
        """Where the order and the stopping rule come from, in one line."""
        steps = " -> ".join(str(total) for total in accumulate(len(group) for group in self.groups))
        steps += "" if self.use == "all" else f", {self.use} where nothing else is said"
        if not self.fitted:
            return f"views {steps}; the stopping rule is the cautious default, not fitted to the support"
        return (
            f"views {steps}; stopping rule fitted on {self.left_out} left-out instances: {self.stopped} would have "
            f"stopped early at a risk of 1%, {self.differed} of them with another class than all views give"
        )

    def to_dict(self) -> dict[str, Any]:
        """The schedule in plain JSON types; `from_fields` reads it back."""
        return {
            "groups": [list(group) for group in self.groups],
            # The name in caches of this schema, which hold labelled work and stay readable.
            "widening": list(self.spread_factors),
            "left_out": self.left_out,
            "stopped": self.stopped,
            "differed": self.differed,
            "use": self.use,
        }

    @classmethod
    def from_fields(cls, fields: Fields, views: int) -> ViewSchedule:
        """Reads what `to_dict` wrote, trusting none of it.

        Args:
            fields: What was read.
            views: The most views there may be.

        Raises:
            IntegrityError: A field is missing or of another type.
            UsageError: It is no order of views.
        """
        groups = fields.sequence("groups", most=views)
        for group in groups:
            if not isinstance(group, list) or len(group) > views or not all(type(view) is int for view in group):
                raise UsageError("a view schedule's group is no list of views")
        return cls(
            tuple(tuple(group) for group in groups),
            spread_factors=_numbers(fields, "widening"),
            left_out=fields.integer("left_out", 0, _MOST_LEFT_OUT),
            stopped=fields.integer("stopped", 0, _MOST_LEFT_OUT),
            differed=fields.integer("differed", 0, _MOST_LEFT_OUT),
            use=fields.payload.get("use", "all"),
        )


def _numbers(fields: Fields, key: str) -> tuple[float, ...]:
    values = fields.sequence(key, most=_MOST_FACTORS)
    if not all(type(value) in (int, float) and abs(value) <= _WIDEST for value in values):
        raise UsageError(f"a view schedule's {key} is no list of numbers")
    return tuple(float(value) for value in values)


def grouped(centred: Sequence[int], rest: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Groups of an order of views: the centred ones, then the rest in groups of as many, at least three.

    Args:
        centred: The views of the first group; where there is none, the rest starts.
        rest: The others, in order.
    """
    size = max(3, len(centred))
    groups = [tuple(rest[start : start + size]) for start in range(0, len(rest), size)]
    return (tuple(centred), *groups) if centred else tuple(groups)


def default_schedule(plan: ViewPlan) -> ViewSchedule:
    """The order where none was fitted: centred views first, then the others, each far from those before.

    The stopping rule is the cautious default.
    """
    centred = plan.centred
    rest = [view for view in range(plan.count) if view not in centred]
    # Strides of the golden ratio: neighbours in the plan share most of their pixels.
    stride = max(1, round(len(rest) * 0.618))
    while len(rest) > 1 and math.gcd(stride, len(rest)) > 1:
        stride += 1
    spread = [rest[place * stride % len(rest)] for place in range(len(rest))]
    return ViewSchedule(grouped(centred, spread))
