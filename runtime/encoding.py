"""Regions of many images through the engine in full batches."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from mvrec_edge.runtime.engines.base import Engine
from mvrec_edge.runtime.regions import Region
from mvrec_edge.runtime.views import ViewPlan, crop_views

__all__ = ["EncodedImage", "ImageRegions", "encode_images"]

Key = TypeVar("Key")


@dataclass(frozen=True)
class ImageRegions(Generic[Key]):
    """An image and its regions, as they go in.

    Attributes:
        key: Whatever the caller wants back with the result.
        image: uint8 `[H, W, 3]`, RGB.
        regions: Its regions; may be empty.
    """

    key: Key
    image: npt.NDArray[np.uint8]
    regions: Sequence[Region]


@dataclass
class EncodedImage(Generic[Key]):
    """An image's embeddings, as they come out.

    Attributes:
        item: What went in.
        embeddings: float32 `[R, V, C]`.
        crop_ms: Milliseconds spent cutting the views of each region.
        encode_ms: Each region's share of the engine's time, in milliseconds.
    """

    item: ImageRegions[Key]
    embeddings: npt.NDArray[np.float32]
    crop_ms: list[float] = field(default_factory=list)
    encode_ms: list[float] = field(default_factory=list)


def encode_images(
    engine: Engine,
    plan: ViewPlan,
    items: Iterable[ImageRegions[Key]],
    progress: Callable[[int], None] | None = None,
) -> Iterator[EncodedImage[Key]]:
    """Cuts the views of every region and encodes them, in order.

    Views wait until they fill a batch, whichever images they come from; only the images whose views wait are
    held in memory. An item comes out as soon as its last view is encoded.

    Args:
        engine: The engine.
        plan: The views to cut; its size must be the engine's.
        items: Images and regions, taken one by one.
        progress: Called with the number of views after each batch.

    Yields:
        The items with their embeddings, in the order they came in.

    Raises:
        UsageError: The plan's view size is not the engine's.
        AnnotationError: A region does not belong to its image.
    """
    waiting: deque[EncodedImage[Key]] = deque()
    queue: _ViewQueue[Key] = _ViewQueue(engine, plan)
    for item in items:
        encoded = EncodedImage(item, np.empty((len(item.regions), plan.count, engine.embedding_dim), np.float32))
        waiting.append(encoded)
        for index, region in enumerate(item.regions):
            start = time.perf_counter()
            views = crop_views(item.image, region, plan)
            encoded.crop_ms.append((time.perf_counter() - start) * 1e3)
            encoded.encode_ms.append(0.0)
            queue.put(views, encoded, index)
            queue.run(progress, everything=False)
        while waiting and not queue.holds(waiting[0]):
            yield waiting.popleft()
    queue.run(progress, everything=True)
    yield from waiting


class _ViewQueue(Generic[Key]):
    """Views that wait for a full batch, and where the embedding of each belongs."""

    def __init__(self, engine: Engine, plan: ViewPlan) -> None:
        self.engine = engine
        self.plan = plan
        self.size = 0
        self.pieces: deque[tuple[npt.NDArray[np.uint8], EncodedImage[Key], int, int]] = deque()

    def put(self, views: npt.NDArray[np.uint8], target: EncodedImage[Key], index: int) -> None:
        self.pieces.append((views, target, index, 0))
        self.size += len(views)

    def holds(self, target: EncodedImage[Key]) -> bool:
        # The queue is in order, and asked about the oldest image: if its views wait, they are at the front.
        return bool(self.pieces) and self.pieces[0][1] is target

    def run(self, progress: Callable[[int], None] | None, *, everything: bool) -> None:
        while self.size >= self.engine.batch or (everything and self.size):
            self._encode(min(self.size, self.engine.batch), progress)

    def _encode(self, count: int, progress: Callable[[int], None] | None) -> None:
        taken: list[tuple[npt.NDArray[np.uint8], EncodedImage[Key], int, int]] = []
        missing = count
        while missing:
            views, target, index, first = self.pieces.popleft()
            part = views[:missing]
            taken.append((part, target, index, first))
            if len(part) < len(views):
                self.pieces.appendleft((views[missing:], target, index, first + len(part)))
            missing -= len(part)
        self.size -= count
        batch = taken[0][0] if len(taken) == 1 else np.concatenate([piece[0] for piece in taken])
        start = time.perf_counter()
        embeddings = self.engine.encode(batch, progress)
        per_view = (time.perf_counter() - start) * 1e3 / count
        place = 0
        for part, target, index, first in taken:
            target.embeddings[index, first : first + len(part)] = embeddings[place : place + len(part)]
            target.encode_ms[index] += per_view * len(part)
            place += len(part)
