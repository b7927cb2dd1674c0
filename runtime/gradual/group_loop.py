"""Views group by group, as many as a decision takes, with full engine batches all the while."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.encoding import EncodedImage, ImageRegions, ViewQueue, views_for
from mvrec_edge.runtime.engines.engine import Engine
from mvrec_edge.runtime.gradual.stopping import Rule
from mvrec_edge.runtime.views import ViewPlan

__all__ = ["SeenImage", "SeenRegion", "see_gradually"]

Key = TypeVar("Key")


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
    """An image on its way through the groups of views; each region's embeddings are in the order of its rule's steps.

    Attributes:
        rules: For each region the rule that was in force when the image came.
        under_way: The regions that are not settled.
        regions: What came out for each of the others, by index.
    """

    rules: Sequence[Rule]
    under_way: dict[int, _Progress] = field(default_factory=dict)
    regions: dict[int, SeenRegion] = field(default_factory=dict)


def see_gradually(
    engine: Engine,
    plan: ViewPlan,
    items: Iterable[tuple[ImageRegions[Key], Sequence[Rule]]],
    progress: Callable[[int], None] | None = None,
) -> Iterator[SeenImage[Key]]:
    """Encodes the views of every region group by group, until its rule says that they are enough.

    A region's next group goes before the regions that have not begun, so that few images are held; new regions fill
    the places that settled ones leave free in a batch. What a region gives depends on itself and its rule alone (and on
    the clock, where there is a budget), never on what shares its batches.

    Args:
        engine: The engine.
        plan: The views to cut; its size must be the engine's.
        items: Images and regions with a rule for each region, taken one by one.
        progress: Called with the number of views after each batch.

    Yields:
        The items, in the order they came in, as soon as their last region is settled.

    Raises:
        UsageError: The plan's view size is not the engine's, or a rule wants more views than there are.
        AnnotationError: A region does not belong to its image.
    """
    loop: _Loop[Key] = _Loop(engine, plan, progress)
    for item, rules in items:
        image = loop.begin(item, rules)
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

    def begin(self, item: ImageRegions[Key], rules: Sequence[Rule]) -> SeenImage[Key]:
        """Takes an image in; its regions are begun with `go_on`."""
        count = len(item.regions)
        room = np.empty((count, self.plan.count, self.queue.engine.embedding_dim), np.float32)
        image = SeenImage(item, room, [0.0] * count, [0.0] * count, rules=rules)
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
        group = image.rules[index].steps[progress.steps]
        start = time.perf_counter()
        views = views_for(self.queue.engine, image.item.image, image.item.regions[index], self.plan, group)
        image.crop_ms[index] += (time.perf_counter() - start) * 1e3
        self.queue.put(views, image, index, progress.views, ahead=ahead)
        progress.steps += 1
        progress.views += len(group)

    def _why_stop(self, image: SeenImage[Key], index: int) -> str | None:
        progress, rule = image.under_way[index], image.rules[index]
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
    steps = image.rules[index].steps[: image.under_way[index].steps]
    views = np.array([view for group in steps for view in group], np.intp)
    order = np.argsort(views)
    return image.embeddings[index, order], views[order]
