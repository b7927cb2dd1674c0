"""How many views decisions take, and how often they differ from those of all views, by the paper's protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mvrec_edge.calib.evaluation.protocol import Draw, EvaluationSet, Protocol, check_set, draw
from mvrec_edge.calib.fitting.head_fitting import fit_head
from mvrec_edge.calib.fitting.schedule_fitting import fit_schedule
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.gradual import StoppingRule, ViewUse
from mvrec_edge.runtime.heads import open_head
from mvrec_edge.runtime.support.cache import SupportCache
from mvrec_edge.runtime.views import ViewPlan

__all__ = ["ViewsResult", "evaluate_views", "replay"]


@dataclass(frozen=True)
class ViewsResult:
    """One head at one number of shots, with as many views as its decisions took.

    Attributes:
        head: Its name.
        shots: Instances for each class.
        views: Mean views used in each draw.
        accuracies: Share of the queries classified rightly in each draw, 0 to 1.
        all_views: The same with all views.
        decisions: Decisions in all draws together.
        early: Of those, how many stopped before the last view.
        differing: Of those, how many differ from the decision of all views.
        promised: Differing decisions that the rule expects: the sum of its risks.
        fitted: Draws in which the stopping rule was fitted rather than the cautious default.
    """

    head: str
    shots: int
    views: tuple[float, ...]
    accuracies: tuple[float, ...]
    all_views: tuple[float, ...]
    decisions: int
    early: int
    differing: int
    promised: float
    fitted: int

    def to_dict(self) -> dict[str, Any]:
        """The result in plain JSON types."""
        return {
            "head": self.head,
            "shots": self.shots,
            "views": round(float(np.mean(self.views)), 3),
            "views_of_each_draw": [round(value, 3) for value in self.views],
            "accuracy": round(float(np.mean(self.accuracies)), 6),
            "accuracy_all_views": round(float(np.mean(self.all_views)), 6),
            "decisions": self.decisions,
            "early": self.early,
            "differing": self.differing,
            "differing_share": round(self.differing / self.decisions, 6),
            "expected_share": round(self.promised / self.decisions, 6),
            "draws_fitted": self.fitted,
        }


def evaluate_views(
    data: EvaluationSet,
    protocol: Protocol,
    use: ViewUse,
    plan: ViewPlan | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[ViewsResult]:
    """Evaluates decisions with as many views as they take.

    Heads, the order of views and the stopping rule are fitted on the drawn support alone; queries are replayed from
    their embeddings.

    Args:
        data: Labelled embeddings.
        protocol: Shots, draws and heads.
        use: How many views are wanted; a budget in time is not replayed.
        plan: The plan that the views were cut with; by default `mso` where there are 27 views.
        progress: Called with 1 after each head of each draw.

    Returns:
        One result for each number of shots and head, in that order.

    Raises:
        UsageError: The plan has another number of views, or a budget is given.
        SupportError: A class has fewer instances than shots, or there are fewer than two classes.
        InputError: There is no query, or an embedding is not finite.
    """
    if use.budget_ms is not None:
        raise UsageError(
            "a budget cannot be kept: these embeddings were computed earlier, so their time is not known",
            fix="leave out the budget",
        )
    check_set(data, protocol)
    views = data.support.shape[1]
    if plan is None and views == ViewPlan.mso().count:
        plan = ViewPlan.mso()
    results = []
    for shots in protocol.shots:
        for name in protocol.heads:
            draws = []
            for seed in range(protocol.draws):
                drawn = draw(data, shots, seed, protocol.split)
                cache = dataclasses.replace(drawn.cache, view_plan=plan)
                cache = fit_head(cache, name, aggregate=protocol.aggregate, tuning=protocol.tuning).cache
                draws.append(_replay_draw(cache, drawn, use))
                progress(1)
            results.append(_merged(name, shots, draws))
    return results


@dataclass(frozen=True)
class _Replayed:
    """One draw: views used, risks, whether decisions differ, and whether they are right with few and with all views."""

    views: npt.NDArray[np.int64]
    risks: npt.NDArray[np.float64]
    differs: npt.NDArray[np.bool_]
    right: npt.NDArray[np.bool_]
    right_with_all: npt.NDArray[np.bool_]
    total: int
    fitted: bool


def _replay_draw(cache: SupportCache, drawn: Draw, use: ViewUse) -> _Replayed:
    schedule = fit_schedule(cache)
    head = open_head(cache)
    rule = StoppingRule(head, schedule, use)
    outcomes = [replay(rule, views.astype(np.float32)) for views in drawn.queries]
    said = np.array([label for label, _, _ in outcomes])
    everything = head.logits(drawn.queries).argmax(axis=1)
    return _Replayed(
        views=np.array([count for _, count, _ in outcomes]),
        risks=np.array([risk for _, _, risk in outcomes]),
        differs=said != everything,
        right=said == drawn.labels,
        right_with_all=everything == drawn.labels,
        total=drawn.queries.shape[1],
        fitted=schedule.fitted,
    )


def _merged(head: str, shots: int, draws: Sequence[_Replayed]) -> ViewsResult:
    return ViewsResult(
        head=head,
        shots=shots,
        views=tuple(float(draw.views.mean()) for draw in draws),
        accuracies=tuple(float(draw.right.mean()) for draw in draws),
        all_views=tuple(float(draw.right_with_all.mean()) for draw in draws),
        decisions=sum(len(draw.views) for draw in draws),
        early=sum(int((draw.views < draw.total).sum()) for draw in draws),
        differing=sum(int(draw.differs.sum()) for draw in draws),
        promised=sum(float(draw.risks.sum()) for draw in draws),
        fitted=sum(draw.fitted for draw in draws),
    )


def replay(rule: StoppingRule, embeddings: npt.NDArray[np.float32]) -> tuple[int, int, float]:
    """What a rule makes of a region all of whose views are encoded already.

    Args:
        rule: The rule.
        embeddings: float32 `[V, C]`, in the plan's order.

    Returns:
        Index of the class, views used, and the probability that all views would say otherwise.
    """
    seen = np.empty(0, np.intp)
    risk = 1.0
    for group in rule.steps:
        seen = np.sort(np.concatenate([seen, np.asarray(group, np.intp)]))
        risk = rule.risk(embeddings[seen], seen)
        if rule.use.views == "auto" and risk <= rule.use.risk:
            break
    return int(rule.head.logits(embeddings[seen][None], seen.tolist())[0].argmax()), len(seen), risk
