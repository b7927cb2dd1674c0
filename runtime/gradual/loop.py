"""Views group by group, as many as a decision takes, with full engine batches all the while."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.encoding import EncodedImage, ImageRegions, ViewQueue
from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.errors import UsageError
from mvrec_edge.runtime.heads import Head
from mvrec_edge.runtime.heads.evidence import UnseenViews, change_probability
from mvrec_edge.runtime.views import ViewPlan, crop_views
from mvrec_edge.runtime.views.schedule import ViewSchedule

__all__ = [
    "DEFAULT_RISK",
    "Rule",
    "SeenImage",
    "SeenRegion",
    "ViewUse",
    "parse_risk",
    "parse_views",
    "see_gradually",
]

Key = TypeVar("Key")

#: Highest probability, at a stop, that all views would say otherwise.
DEFAULT_RISK = 0.01

_LOWEST_RISK, _HIGHEST_RISK = 1e-6, 0.5


@dataclass(frozen=True)
class ViewUse:
    """How many views a classifier uses.

    Attributes:
        views: `"all"`; `"auto"`, as many as the decision takes; or a fixed number.
        risk: For `"auto"`: highest probability that all views would say otherwise, 0.000001 to 0.5.
        budget_ms: Most milliseconds for the views of one region, as measured on the engine; None for no limit. One
            group of views is always encoded.

    Raises:
        UsageError: A value is not usable.
    """

    views: str | int = "all"
    risk: float = DEFAULT_RISK
    budget_ms: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.views, str) and self.views not in ("all", "auto"):
            raise UsageError(f"'{self.views}' is no number of views", fix="give --views 3, all or auto")
        if not _LOWEST_RISK <= self.risk <= _HIGHEST_RISK:
            raise UsageError(f"a risk lies between {_LOWEST_RISK:.6f} and {_HIGHEST_RISK}, not {self.risk}")
        if self.budget_ms is not None and not self.budget_ms > 0:
            raise UsageError(f"a budget is above 0 milliseconds, not {self.budget_ms}")

    @property
    def at_once(self) -> bool:
        """Whether all views are encoded without a look in between."""
        return self.views == "all" and self.budget_ms is None


def parse_views(text: str) -> str | int:
    """Reads how many views are wanted: a number such as `3`, or a word, which `ViewUse` knows or refuses."""
    return int(text) if text.isascii() and text.isdigit() else text


def parse_risk(text: str) -> float:
    """Reads a probability such as `0.01` or `1%`; `ViewUse` says which ones are usable.

    Raises:
        UsageError: It is none.
    """
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is no probability", fix="give --risk 1% or 0.01") from error


@dataclass(frozen=True)
class Rule:
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
                f"the support cache has {there} views of each instance, so {wanted} cannot be used",
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


@dataclass(frozen=True)
class SeenRegion:
    """A region with the views that were encoded of it.

    Attributes:
        embeddings: float32 `[n, C]`, in the plan's order.
        views: int `[n]`, which views they are.
        stopped: Why there are no more: `"all"` were encoded; the decision was `"settled"`; the number was `"fixed"`;
            the `"budget"` was spent.
        risk: Probability that all views would say otherwise.
        decide_ms: Milliseconds spent on whether to go on.
    """

    embeddings: npt.NDArray[np.float32]
    views: npt.NDArray[np.intp]
    stopped: str
    risk: float
    decide_ms: float


@dataclass
class _Progress:
    """How far a region is: steps taken, views put into the queue, the risk after the latest, milliseconds deciding."""

    steps: int = 0
    views: int = 0
    risk: float = 1.0
    decide_ms: float = 0.0


@dataclass(kw_only=True)
class SeenImage(EncodedImage[Key]):
    """An image on its way through the groups of views; its embeddings are in the order of its rule's steps.

    Attributes:
        rule: The rule that was in force when the image came.
        under_way: The regions that are not settled.
        regions: What came out for each of the others, by index.
    """

    rule: Rule
    under_way: dict[int, _Progress] = field(default_factory=dict)
    regions: dict[int, SeenRegion] = field(default_factory=dict)


def see_gradually(
    engine: Engine,
    plan: ViewPlan,
    items: Iterable[tuple[ImageRegions[Key], Rule]],
    progress: Callable[[int], None] | None = None,
) -> Iterator[SeenImage[Key]]:
    """Encodes the views of every region group by group, until its rule says that they are enough.

    A region's next group goes before the regions that have not begun, so that few images are held; new regions fill
    the places that settled ones leave free in a batch. What a region gives depends on itself and its rule alone (and on
    the clock, where there is a budget), never on what shares its batches.

    Args:
        engine: The engine.
        plan: The views to cut; its size must be the engine's.
        items: Images and regions with the rule for each, taken one by one.
        progress: Called with the number of views after each batch.

    Yields:
        The items, in the order they came in, as soon as their last region is settled.

    Raises:
        UsageError: The plan's view size is not the engine's, or a rule wants more views than there are.
        AnnotationError: A region does not belong to its image.
    """
    loop: _Loop[Key] = _Loop(engine, plan, progress)
    for item, rule in items:
        image = loop.begin(item, rule)
        for index in range(len(item.regions)):
            loop.go_on(image, index, ahead=False)
            while loop.queue.size >= engine.batch:
                loop.step()
        yield from loop.finished()
    while loop.queue.size:
        loop.step()
        yield from loop.finished()


class _Loop(Generic[Key]):
    """Images under way, and their views that wait for a batch."""

    def __init__(self, engine: Engine, plan: ViewPlan, progress: Callable[[int], None] | None) -> None:
        self.plan = plan
        self.progress = progress
        self.queue: ViewQueue[SeenImage[Key]] = ViewQueue(engine)
        self.waiting: deque[SeenImage[Key]] = deque()

    def begin(self, item: ImageRegions[Key], rule: Rule) -> SeenImage[Key]:
        """Takes an image in; its regions are begun with `go_on`."""
        count = len(item.regions)
        room = np.empty((count, self.plan.count, self.queue.engine.embedding_dim), np.float32)
        image = SeenImage(item, room, [0.0] * count, [0.0] * count, rule=rule)
        image.under_way = {index: _Progress() for index in range(count)}
        self.waiting.append(image)
        return image

    def finished(self) -> Iterator[SeenImage[Key]]:
        """The oldest images, as far as none of their regions is under way."""
        while self.waiting and not self.waiting[0].under_way:
            yield self.waiting.popleft()

    def step(self) -> None:
        """Encodes one batch, and has every region whose group is complete stop or go on."""
        # What is put ahead last comes first, and the oldest shall.
        for image, index in reversed(self.queue.encode(self.progress)):
            why = self._why_stop(image, index)
            if why is None:
                self.go_on(image, index, ahead=True)
            else:
                self._close(image, index, why)

    def go_on(self, image: SeenImage[Key], index: int, *, ahead: bool) -> None:
        """Cuts a region's next group of views and has it wait for a batch."""
        progress = image.under_way[index]
        group = image.rule.steps[progress.steps]
        start = time.perf_counter()
        region, threads = image.item.regions[index], self.queue.engine.threads
        views = crop_views(image.item.image, region, self.plan, views=group, threads=threads)
        image.crop_ms[index] += (time.perf_counter() - start) * 1e3
        self.queue.put(views, image, index, progress.views, ahead=ahead)
        progress.steps += 1
        progress.views += len(group)

    def _why_stop(self, image: SeenImage[Key], index: int) -> str | None:
        progress, rule = image.under_way[index], image.rule
        why = None
        if progress.views == self.plan.count:
            why = "all"
        elif progress.steps == len(rule.steps):
            why = "fixed"
        elif rule.use.budget_ms is not None:
            spent = image.crop_ms[index] + image.encode_ms[index] + progress.decide_ms
            ahead = (self.queue.view_ms or 0.0) * len(rule.steps[progress.steps])
            why = "budget" if spent + ahead > rule.use.budget_ms else None
        if why is not None or rule.use.views == "auto":
            start = time.perf_counter()
            progress.risk = rule.risk(*_seen(image, index))
            progress.decide_ms += (time.perf_counter() - start) * 1e3
        if rule.use.views == "auto" and why != "all" and progress.risk <= rule.use.risk:
            return "settled"
        return why

    def _close(self, image: SeenImage[Key], index: int, why: str) -> None:
        embeddings, views = _seen(image, index)
        progress = image.under_way.pop(index)
        image.regions[index] = SeenRegion(embeddings, views, why, progress.risk, progress.decide_ms)


def _seen(image: SeenImage[Any], index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """The embeddings of a region so far and which views they are, in the plan's order."""
    steps = image.rule.steps[: image.under_way[index].steps]
    views = np.array([view for group in steps for view in group], np.intp)
    order = np.argsort(views)
    return image.embeddings[index, order], views[order]
